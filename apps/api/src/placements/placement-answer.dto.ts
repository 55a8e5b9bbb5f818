import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { OBJECTIVES, type Objective } from '@zonewise/placement';
import type { GuestPlacement, GuestRefusal, HostEvidence, PlacementAnswer } from '@zonewise/plan';
import { NoteDto } from '../docs/note.dto';

const anObject = (description: string, example: object) => ({
  type: 'object' as const,
  additionalProperties: true,
  description,
  example,
});

export class GuestPlacementDto implements GuestPlacement {
  @ApiProperty({ example: 'web1' })
  guest: string;

  @ApiProperty({ example: 'kvm1' })
  host: string;

  @ApiPropertyOptional({ example: 'kvm2', description: 'The host that it leaves.' })
  from?: string;

  @ApiProperty(
    anObject('What `<numatune>` has to say: `<memory>`, and `<memnode>` of each guest cell.', {
      mode: 'strict',
      nodeset: [0, 1],
      memnodes: [
        { cellid: 0, mode: 'strict', nodeset: [0] },
        { cellid: 1, mode: 'strict', nodeset: [1] },
      ],
    }),
  )
  numatune: GuestPlacement['numatune'];

  @ApiProperty({ type: [Number], example: [0] })
  hostNodes: number[];

  @ApiProperty(
    anObject('Host CPUs for `<vcpupin>` and `<emulatorpin>`.', {
      vcpus: [{ vcpu: 0, cpuset: [0, 1] }],
      emulator: [0, 1],
    }),
  )
  pinning: GuestPlacement['pinning'];

  @ApiProperty(
    anObject("The guest at the end of its host's replay.", {
      pagesByNode: [{ nodeId: 0, pages: 262144 }],
      remoteShare: 0,
      stallNs: 0,
      swapPages: 0,
      stateHash: '',
    }),
  )
  evidence: GuestPlacement['evidence'];
}

export class GuestRefusalDto implements GuestRefusal {
  @ApiProperty({ example: 'job1' })
  guest: string;

  @ApiProperty({ enum: ['arithmetic', 'replay'], description: 'Which stage refused it last.' })
  stage: GuestRefusal['stage'];

  @ApiProperty({
    example: 'memory',
    description:
      'memory, vcpus, hugepages, nodes, anti-affinity, host-group or excluded by adding up; by a replay the code of a rule, such as oom-kill.',
  })
  code: string;

  @ApiPropertyOptional({ example: 'kvm1', description: 'The host that comes nearest.' })
  host?: string;

  @ApiPropertyOptional({ example: 0 })
  node?: number;

  @ApiPropertyOptional({ example: 'Normal' })
  zone?: string;

  @ApiPropertyOptional(
    anObject('`low` with the reserve for adding up, `min` where a replay ran into it.', {
      name: 'low',
      pages: 12805,
    }),
  )
  mark?: GuestRefusal['mark'];

  @ApiPropertyOptional({ description: 'Pages of 4 KiB.' })
  shortfallPages?: number;

  @ApiPropertyOptional()
  shortfallVcpus?: number;

  @ApiPropertyOptional({ description: 'Nodes that the host has fewer than the guest has cells.' })
  shortfallNodes?: number;

  @ApiPropertyOptional({ description: 'Pages of `sizeKib`.' })
  shortfallHugepages?: number;

  @ApiPropertyOptional({ example: 2048 })
  sizeKib?: number;

  @ApiProperty()
  message: string;

  @ApiProperty({
    type: 'array',
    items: { type: 'object', additionalProperties: true },
    description: 'Every host whose replay refused it, with node, zone, mark and shortfall.',
  })
  failures: GuestRefusal['failures'];

  @ApiProperty({
    type: 'array',
    items: { type: 'object', additionalProperties: true },
    description:
      'What every other host lacks by adding up, the nearest first: code, node, zone, mark and shortfall. Hosts that lack the same are told together: `count`, and `hosts` with their names (fewer than `count` beyond 400,000 in one answer). Beyond 16,384 reasons in one answer the rest are together by code, with the least as the shortfall and the most in `shortfallMost`.',
    example: [
      {
        ...{ code: 'memory', host: 'kvm1', node: 0, zone: 'Normal' },
        ...{ mark: { name: 'low', pages: 12805 }, shortfallPages: 4096 },
        ...{ message: '', count: 2, hosts: ['kvm1', 'kvm2'] },
      },
    ],
  })
  hosts: GuestRefusal['hosts'];

  @ApiPropertyOptional({
    example: 'job1',
    description:
      'A guest before it that is like it: `hosts` of that one hold for this one as well.',
  })
  sameAs?: string;
}

export class HostEvidenceDto implements HostEvidence {
  @ApiProperty({ example: 'kvm1' })
  host: string;

  @ApiProperty({ type: [String], description: 'Guests that it gets.' })
  guests: string[];

  @ApiProperty({ type: 'array', items: { type: 'object', additionalProperties: true } })
  nodes: HostEvidence['nodes'];

  @ApiProperty({ description: 'Of all guests, modelled.' })
  stallNs: number;

  @ApiProperty()
  swappedOutPages: number;

  @ApiProperty()
  cacheLostPages: number;

  @ApiProperty({ minimum: 0, maximum: 1 })
  remoteShare: number;

  @ApiProperty({ description: 'Final state of the replay; equal input gives an equal one.' })
  stateHash: string;

  @ApiProperty(
    anObject('The rules that were replayed.', { kernel: '6.1.y', validated: true, hardware: '' }),
  )
  profile: HostEvidence['profile'];

  @ApiProperty({ type: [NoteDto] })
  caveats: NoteDto[];
}

export class PlacementDto implements PlacementAnswer {
  @ApiProperty({ enum: OBJECTIVES })
  objective: Objective;

  @ApiProperty({ type: [GuestPlacementDto] })
  placements: GuestPlacementDto[];

  @ApiProperty({ type: [GuestRefusalDto] })
  refused: GuestRefusalDto[];

  @ApiProperty({ type: [HostEvidenceDto], description: 'Hosts that change, each replayed.' })
  hosts: HostEvidenceDto[];

  @ApiProperty({ description: 'Hosts with guests afterwards.' })
  hostsUsed: number;

  @ApiProperty({ type: String, nullable: true, example: null })
  evacuated: string | null;

  @ApiProperty(
    anObject('How it was found.', {
      method: 'first-fit',
      rounds: 1,
      replays: 1,
      sharedReplays: 0,
    }),
  )
  search: PlacementAnswer['search'];

  @ApiProperty({ example: 1 })
  seed: number;

  @ApiProperty({ type: [NoteDto] })
  caveats: NoteDto[];
}
