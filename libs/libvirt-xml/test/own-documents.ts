/** Whole documents of our own: what people write by hand, in layouts that an edit has to keep. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const EXAMPLES = join(__dirname, '..', '..', '..', 'examples');
export const exampleXml = (name: string): string =>
  readFileSync(join(EXAMPLES, `${name}.xml`), 'utf8');

const CELLS = `  <cpu mode='host-passthrough'>
    <numa>
      <cell id='1' cpus='2-3' memory='1' unit='GiB' memAccess='shared'/>
      <cell id='0' cpus='0-1' memory='1048576'/>
    </numa>
  </cpu>`;

const COMMENTED = `<?xml version="1.0" encoding="UTF-8"?>
<!-- written by hand -->
<domain type="kvm" xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0">
	<name>by &amp; hand</name> <!-- the name -->
	<metadata><app:a xmlns:app="urn:a" note='"quoted"'><![CDATA[<numatune/>]]></app:a></metadata>
	<memory unit="MiB">2048</memory><currentMemory unit="KiB">1048576</currentMemory>
	<memoryBacking>
		<!-- pages --><hugepages><page size="2" unit="M"/></hugepages>
	</memoryBacking>
	<vcpu  current = '2' >4</vcpu>
	<numatune >
		<!-- <memory mode='strict' nodeset='0'/> -->
		<memory
			nodeset = '1'
			mode = 'preferred'
		/>
		<memnode cellid='0' mode="strict" nodeset="0"/><!-- cell 0 -->
	</numatune>
${CELLS}
	<devices>
		<disk type='file'><driver name='qemu' io="threads"/><source file='/a'/><target dev='vda' bus='virtio'/></disk>
		<disk type='block'><source dev='/b'/><target dev='vdb'/></disk>
		<unknown:thing xmlns:unknown="urn:u"/>
	</devices>
	<qemu:commandline><qemu:arg value='-cpu'/></qemu:commandline>
</domain>
`;

const STATUS = `<domstatus state='running' reason='booted' pid='1'>
  <numad nodeset='0-1' cpuset='0-3'/>
  <domain type='kvm' id='1'>
    <name>running</name>
    <memory unit='KiB'>1048576</memory>
    <vcpu placement='auto'>2</vcpu>
    <numatune>
      <memory mode='interleave' placement='auto'/>
    </numatune>
    <os>
      <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    </os>
  </domain>
</domstatus>
`;

const SHORT = "<domain type='qemu'><name>s</name><memory>65536</memory></domain>";

/** By a name that a failing test shows. */
export const OWN_DOCUMENTS: Record<string, string> = {
  ...Object.fromEntries(['db1', 'web1', 'web2', 'job1'].map((name) => [name, exampleXml(name)])),
  commented: COMMENTED,
  'commented, CR LF': COMMENTED.replaceAll('\n', '\r\n'),
  'commented, byte order mark': `\ufeff${COMMENTED}`,
  status: STATUS,
  'one line': SHORT,
  'no line break at the end': STATUS.trimEnd(),
};
