import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { RULE_CODES, RULES, SEVERITIES } from '@zonewise/plan';
import type { Finding, GateVerdict, HostVerdict, RuleInForce, Severity } from '@zonewise/plan';
import { NoteDto } from '../docs/note.dto';

const ruleIds = RULES.map(({ id }) => id);
const anObject = (description: string, example: object) => ({
  type: 'object' as const,
  additionalProperties: true,
  description,
  example,
});

export class FindingDto implements Finding {
  @ApiProperty({ enum: ruleIds })
  rule: string;

  @ApiProperty({ enum: RULE_CODES })
  code: Finding['code'];

  @ApiProperty({ enum: SEVERITIES })
  severity: Severity;

  @ApiProperty({ example: 'host', description: 'Empty for a finding about the plan itself.' })
  host: string;

  @ApiPropertyOptional({ example: 'web2' })
  guest?: string;

  @ApiPropertyOptional({ example: 0 })
  node?: number;

  @ApiProperty({ type: Number, nullable: true, example: 0.83 })
  found: number | null;

  @ApiProperty({ type: Number, nullable: true, example: 0.1 })
  limit: number | null;

  @ApiProperty({ type: String, nullable: true, example: 'share' })
  unit: Finding['unit'];

  @ApiProperty()
  message: string;

  @ApiProperty(
    anObject('Place in the plan, with line and column of the document that it names.', {
      path: '/domains/0/xml',
      line: 12,
      column: 5,
    }),
  )
  place: Finding['place'];

  @ApiPropertyOptional({
    type: 'array',
    items: { type: 'object', additionalProperties: true },
    description: 'The guest, where an event causes it, or the event that starts the guest.',
    example: [{ place: { path: '/guests/0' }, message: 'web1' }],
  })
  related?: Finding['related'];

  @ApiPropertyOptional(anObject('The waiver that accepts it.', { reason: '', expires: '' }))
  waived?: Finding['waived'];
}

export class HostVerdictDto implements HostVerdict {
  @ApiProperty({ example: 'host' })
  name: string;

  @ApiProperty({ enum: ['pass', 'fail'] })
  verdict: HostVerdict['verdict'];

  @ApiProperty(
    anObject('What adding up says: free memory and page cache against the planned guests.', {
      availableMib: 7000,
      plannedMib: 2816,
      fits: true,
    }),
  )
  accounting: HostVerdict['accounting'];

  @ApiProperty(
    anObject('The replay condensed, as in a simulation.', {
      oomKills: [],
      remoteShare: 0,
      stallNs: 0,
    }),
  )
  outcome: HostVerdict['outcome'];

  @ApiProperty(
    anObject('The rules that were replayed.', { kernel: '6.1.y', validated: true, hardware: '' }),
  )
  profile: HostVerdict['profile'];

  @ApiPropertyOptional(
    anObject('With a policy margin.', {
      holdsPercent: 10,
      flipsAtPercent: null,
      testedPercent: 10,
    }),
  )
  margin?: HostVerdict['margin'];

  @ApiPropertyOptional({
    type: 'array',
    items: { type: 'object', additionalProperties: true },
    description: 'With a policy headroom.',
  })
  headroom?: HostVerdict['headroom'];

  @ApiProperty(anObject('', { touchPercent: 100 }))
  demand: HostVerdict['demand'];

  @ApiProperty({ type: [NoteDto] })
  caveats: NoteDto[];

  @ApiProperty({ type: [NoteDto] })
  assumptions: NoteDto[];

  @ApiProperty({ example: 1 })
  replays: number;

  @ApiPropertyOptional({
    example: 'kvm1',
    description: 'The host whose replays these are as well: only names of guests differ.',
  })
  sameAs?: string;
}

export class GateVerdictDto implements GateVerdict {
  @ApiProperty({ enum: ['pass', 'fail'] })
  verdict: GateVerdict['verdict'];

  @ApiProperty({ enum: SEVERITIES })
  failLevel: Severity;

  @ApiProperty({ type: [FindingDto] })
  findings: FindingDto[];

  @ApiProperty({ type: [HostVerdictDto] })
  hosts: HostVerdictDto[];

  @ApiProperty({ type: [String], description: 'Hosts without guests: nothing was replayed.' })
  idleHosts: string[];

  @ApiPropertyOptional({
    type: 'array',
    items: { type: 'object', additionalProperties: true },
    description: 'Where the packer put the guests, with `assignments: auto`.',
  })
  placements?: GateVerdict['placements'];

  @ApiProperty({
    type: 'array',
    items: { type: 'object', additionalProperties: true },
    description: 'Every rule with severity and limit as they held.',
  })
  rules: RuleInForce[];

  @ApiProperty({ type: 'array', items: { type: 'object', additionalProperties: true } })
  waivers: GateVerdict['waivers'];

  @ApiProperty({
    description:
      'Of the plan and the fail level in force: with equal model version, seed and day equal verdicts.',
  })
  planSha256: string;

  @ApiProperty({ example: '0.1.0' })
  modelVersion: string;

  @ApiProperty({ example: 1 })
  seed: number;

  @ApiProperty({ example: '2026-11-21' })
  today: string;
}
