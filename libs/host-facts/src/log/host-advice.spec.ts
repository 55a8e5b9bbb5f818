import { exampleTexts, imported } from '../../test/fixtures';
import { diagnose, type Diagnosis } from './diagnose';
import { withHostEvidence } from './host-advice';
import { parseKernelLog } from './log-report';

const host = imported({ ...exampleTexts(), sysctl: 'vm.watermark_scale_factor = 10\n' }).model;

function diagnosed(first: string): Diagnosis {
  const zones = host.nodes[1]!.zones.map(
    ({ name, managedPages, presentPages }) =>
      `Node 1 ${name} free:40kB min:2000kB low:2500kB high:3000kB active_anon:0kB inactive_anon:0kB active_file:0kB inactive_file:0kB present:${4 * presentPages}kB managed:${4 * managedPages}kB`,
  );
  const parsed = parseKernelLog([first, ...zones].join('\n'), 'log', '6.1.0-44-amd64');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return diagnose(parsed.value[0]!);
}

describe('withHostEvidence', () => {
  it('tells which watermark_scale_factor would have been enough on the host', () => {
    const plain = diagnosed('irq: page allocation failure: order:0, mode:0xa20(GFP_ATOMIC)');
    const [advice] = withHostEvidence(plain, host).advice;
    // 500 pages of min, of which atomic requests leave a part; 10 are free.
    const missingPages = plain.zones[0]!.min!.missingPages;
    expect(missingPages).toBeGreaterThan(100);
    const { lowPages, advisedLowPages, ...evidence } = advice!.evidence;
    expect(evidence).toEqual({
      missingPages,
      minFreeKbytes: host.sysctl.min_free_kbytes,
      watermarkScaleFactor: 10,
      advisedWatermarkScaleFactor: expect.any(Number) as number,
    });
    expect(advisedLowPages! - lowPages!).toBeGreaterThanOrEqual(missingPages);
    // One less is not enough: a step lifts the mark by a ten-thousandth of the zone.
    const stepPages = Math.ceil(host.nodes[1]!.zones[0]!.managedPages / 10000);
    expect(advisedLowPages! - lowPages!).toBeLessThan(missingPages + stepPages);
    expect(advice!.message).toContain(
      `vm.watermark_scale_factor ${evidence.advisedWatermarkScaleFactor} in place of 10`,
    );
  });

  it('leaves a zone alone that the host does not have', () => {
    const plain = diagnosed('irq: page allocation failure: order:0, mode:0xa20(GFP_ATOMIC)');
    const other = { ...host, nodes: host.nodes.slice(0, 1) };
    expect(withHostEvidence(plain, other)).toEqual(plain);
  });
});
