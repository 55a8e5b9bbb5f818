import {
  ApiProperty,
  ApiPropertyOptional,
  IntersectionType,
  OmitType,
  PickType,
} from '@nestjs/swagger';
import { IsOptional, IsString, Matches, MaxLength } from 'class-validator';
import { applyDecorators } from '@nestjs/common';
import type { HostTexts } from '@zonewise/host-facts';
import { MapOf, Nested } from '../http/field-decorators';
import { WhenGiven } from '../work/when-given';
import { HostModelDto } from './host-model.dto';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const NAME_MESSAGE =
  'must be 1 to 128 letters, digits, dots, dashes and underscores, beginning with a letter or digit';
/** Longest text of one source, in characters. */
const MAX_TEXT = 16 * 1024 * 1024;

class HostName {
  @ApiProperty({ example: 'numa-host-1', description: 'Unique among the hosts.' })
  @Matches(NAME, { message: NAME_MESSAGE })
  name: string;

  @ApiPropertyOptional({ type: String, nullable: true, example: 'Rack 4, two sockets' })
  @IsOptional()
  @IsString()
  @MaxLength(2000)
  @Matches(/^[^\0]*$/, { message: 'must not hold NUL characters' })
  description?: string | null;
}

/** A host in the canonical form. */
export class CreateHostDto extends HostName {
  @Nested(() => HostModelDto)
  model: HostModelDto;
}

const Text = (description: string) =>
  applyDecorators(
    ApiPropertyOptional({ description }),
    WhenGiven(),
    IsString({ message: 'must be the text of the file' }),
    MaxLength(MAX_TEXT, { message: `must have at most ${MAX_TEXT} characters` }),
  );

const NodeTexts = (file: string, form = '', of = `/sys/devices/system/node/nodeN/${file}`) =>
  applyDecorators(
    ApiPropertyOptional({
      type: 'object',
      additionalProperties: { type: 'string' },
      description:
        `Text of ${of} by node number; in multipart: \`node0.${file}\`. ${form}`.trimEnd(),
    }),
    WhenGiven(),
    MapOf({
      key: /^\d{1,5}$/,
      maxEntries: 1024,
      value: (value) => typeof value === 'string' && value.length <= MAX_TEXT,
      message: 'must map node numbers to texts',
    }),
  );

/** What a host printed, each source as its text. Every one is optional; more is better. */
export class InspectHostDto implements HostTexts {
  @Text('`virsh capabilities`: nodes, CPUs, distances.') capabilities?: string;
  @Text('`numactl --hardware`.') numactlHardware?: string;
  @Text('/proc/zoneinfo.') zoneinfo?: string;
  @Text('/proc/buddyinfo.') buddyinfo?: string;
  @Text('/proc/pagetypeinfo (root only).') pagetypeinfo?: string;
  @Text('/proc/meminfo.') meminfo?: string;
  @Text('/proc/vmstat.') vmstat?: string;
  @Text('`sysctl -a`, or its vm lines.') sysctl?: string;
  @Text('/sys/kernel/mm/transparent_hugepage/enabled.') thpEnabled?: string;
  @Text('/sys/kernel/mm/transparent_hugepage/defrag.') thpDefrag?: string;
  @Text('Files of /sys/kernel/mm/transparent_hugepage/khugepaged, `pages_to_scan:4096` a line.')
  khugepaged?: string;
  @Text('`uname -r` or /proc/version.') version?: string;
  @Text('/sys/kernel/mm/lru_gen/enabled.') lruGen?: string;
  @Text('`numastat`.') numastat?: string;
  @Text('`numastat -m`.') numastatMeminfo?: string;
  @Text('`virsh nodeinfo`.') nodeinfo?: string;
  @Text('`virsh freepages --all`.') freepages?: string;
  @Text('`virsh freecell --all`.') freecell?: string;
  @Text('`virsh nodememstats`.') nodememstats?: string;
  @Text(
    'Kernel log with a report of a failed allocation or an OOM kill: the host as the last report that lists zones says, also alone; with zoneinfo, that host at the time of the report.',
  )
  kernelLog?: string;
  @Text('Lists of nodes of /sys/devices/system/node, `has_memory:0-3` a line.')
  nodeStates?: string;
  @Text('Boot log with `Fallback order for Node 0: 0 1`.') zonelists?: string;
  @Text('Boot log with `Initmem setup node 0 [mem ...]`.') zoneRanges?: string;
  @Text('Boot log with `DMA zone: 64 pages used for memmap`.') memmap?: string;
  @Text('Memory blocks of sysfs, `node0/memory32` a line.') sections?: string;
  @Text('/sys/kernel/debug/extfrag/extfrag_index.') extfragIndex?: string;
  @Text('/sys/kernel/debug/extfrag/unusable_index.') unusableIndex?: string;
  @NodeTexts('freepages', '', '`virsh freepages N --pagesize S`, lines of several sizes together')
  cellFreepages?: Record<string, string>;
  @NodeTexts('memstats', '', '`virsh nodememstats --cell N`') cellMemstats?: Record<string, string>;
  @NodeTexts('meminfo') nodeMeminfo?: Record<string, string>;
  @NodeTexts('numastat') nodeNumastat?: Record<string, string>;
  @NodeTexts('cpulist') nodeCpulist?: Record<string, string>;
  @NodeTexts('distance') nodeDistance?: Record<string, string>;
  @NodeTexts('vmstat') nodeVmstat?: Record<string, string>;
  @NodeTexts('hugepages', '`hugepages-2048kB/nr_hugepages:512` a line for each file.')
  nodeHugepages?: Record<string, string>;
}

/** A stored host described anew: by what it prints now, or by the report that its kernel wrote. */
export class SnapshotDescriptionDto extends OmitType(InspectHostDto, ['kernelLog'] as const) {
  @Text(
    'Kernel log, alone: the host becomes what it was at the last report of a failed allocation or an OOM kill in it, on top of the stored sizes and settings.',
  )
  kernelLog?: string;
}

export class ImportHostDto extends IntersectionType(HostName, InspectHostDto) {}

/** An archive has no fields of its own. */
export class ImportHostQuery {
  @ApiPropertyOptional({
    description: "Name of a host sent as an archive. Default: the host's own.",
  })
  @WhenGiven()
  @Matches(NAME, { message: NAME_MESSAGE })
  name?: string;

  @ApiPropertyOptional({ description: 'Of a host sent as an archive.' })
  @WhenGiven()
  @IsString()
  @MaxLength(2000)
  description?: string;
}

/** What to change; what is absent stays. */
export class UpdateHostDto extends PickType(HostName, ['description'] as const) {
  @ApiPropertyOptional({ example: 'numa-host-1' })
  @WhenGiven()
  @Matches(NAME, { message: NAME_MESSAGE })
  name?: string;

  @WhenGiven()
  @Nested(() => HostModelDto, {
    required: false,
    description: 'Replaces the model; stored domains must still fit its nodes.',
  })
  model?: HostModelDto;
}
