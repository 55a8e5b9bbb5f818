import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type { Outcome, ReplayResult } from '@zonewise/advisor';
import { simulationAnswer, type StepEvent } from '@zonewise/plan';
import { NoteDto } from '../docs/note.dto';
import { FallbackOrderDto } from '../hosts/host-responses.dto';
import { PageDto } from '../http/cursor';
import type { ResultBasis } from '../jobs/job-kinds';
import { ReplayOverridesDto, StoredDomains } from '../work/replay-options.dto';
import type { Simulation } from './simulation.entity';

const freeObject = (description: string, example: object) => ({
  type: 'object' as const,
  additionalProperties: true,
  description,
  example,
});

export class CreateSimulationDto extends ReplayOverridesDto {
  @StoredDomains()
  domains?: string[];
}

export class BasisDomainDto {
  @ApiProperty({ example: 'web1' })
  name: string;

  @ApiProperty({ enum: ['running', 'planned'] })
  state: 'running' | 'planned';

  @ApiProperty({ description: "The domain's version when the work was accepted." })
  version: number;
}

/** What a result was computed from. */
export class ResultBasisDto implements ResultBasis {
  @ApiProperty({ description: "The host's version when the work was accepted." })
  hostVersion: number;

  @ApiPropertyOptional(
    freeObject("The host's latest snapshot then.", {
      number: 1,
      createdAt: '2026-01-01T00:00:00.000Z',
    }),
  )
  snapshot?: ResultBasis['snapshot'];

  @ApiPropertyOptional(freeObject('Of a recommendation: its options.', { profile: 'locality' }))
  options?: ResultBasis['options'];

  @ApiProperty({ type: [BasisDomainDto] })
  domains: BasisDomainDto[];

  @ApiProperty(freeObject('As asked for.', { touchPercent: 100 }))
  demand: ResultBasis['demand'];

  @ApiProperty(freeObject('Overrides of the host’s own.', { zone_reclaim_mode: 1 }))
  sysctl: ResultBasis['sysctl'];

  @ApiProperty(freeObject('Overrides by domain.', { web1: { mode: 'strict', nodeset: [0] } }))
  numatune: ResultBasis['numatune'];

  @ApiProperty({ example: 1 })
  seed: number;

  @ApiPropertyOptional({ example: 'generic-2s' })
  hardwareProfile?: string;
}

export class SimulationSummaryDto {
  @ApiProperty({ format: 'uuid' })
  id: string;

  @ApiProperty({ format: 'uuid' })
  hostId: string;

  @ApiProperty({ format: 'uuid' })
  jobId: string;

  @ApiProperty({ format: 'date-time' })
  createdAt: string;

  @ApiProperty({ type: ResultBasisDto })
  basis: ResultBasisDto;

  @ApiProperty(
    freeObject('The replay condensed: guests, nodes, kills, remote share, stall, reclaim.', {
      guests: [
        {
          name: 'web1',
          state: 'planned',
          mode: 'preferred',
          nodeset: [0],
          memoryPages: 262144,
          pagesByNode: [{ nodeId: 0, pages: 262144 }],
          remoteShare: 0,
          oomKilled: false,
          stallNs: 0,
          swapPages: 0,
        },
      ],
      oomKills: [],
      remoteShare: 0,
    }),
  )
  outcome: Outcome;

  @ApiProperty({ type: [NoteDto], description: 'Rules used where the input leaves a gap.' })
  assumptions: NoteDto[];
}

export class ZoneRowDto {
  @ApiProperty() nodeId: number;
  @ApiProperty({ example: 'Normal' }) zone: string;
  @ApiProperty() managedPages: number;
  @ApiProperty() freePages: number;
  @ApiProperty() minPages: number;
  @ApiProperty() lowPages: number;
  @ApiProperty() highPages: number;
  @ApiProperty() boostPages: number;
  @ApiProperty({ type: [Number] }) protectionPages: number[];
  @ApiProperty() pcpPages: number;
}

export class NumastatRowDto {
  @ApiProperty() nodeId: number;
  @ApiProperty() numaHit: number;
  @ApiProperty() numaMiss: number;
  @ApiProperty() numaForeign: number;
  @ApiProperty() interleaveHit: number;
  @ApiProperty() localNode: number;
  @ApiProperty() otherNode: number;
}

export class RateRowDto {
  @ApiProperty() step: number;
  @ApiProperty({ example: 'guest' }) op: string;
  @ApiProperty({ type: String, nullable: true }) label: string | null;
  @ApiProperty({ description: 'Virtual time.' }) durationNs: number;
  @ApiProperty({ description: 'Pages that kswapd scanned per second.' }) pgscank: number;
  @ApiProperty({ description: 'Pages that allocating tasks scanned per second.' }) pgscand: number;
  @ApiProperty({ description: 'Pages reclaimed per second.' }) pgsteal: number;
  @ApiProperty() pgfault: number;
}

export class SimulationDto extends SimulationSummaryDto {
  @ApiProperty(
    freeObject('Kernel and hardware that were modelled, and the rule by which actors take turns.', {
      kernel: '6.1.y',
      validated: true,
      hardware: 'generic-2s',
      scheduleRule: 'kswapd after each batch',
    }),
  )
  profile: ReplayResult['profile'];

  @ApiProperty({ description: 'Equal for equal input and seed, on every machine.' })
  stateHash: string;

  @ApiProperty({ type: [FallbackOrderDto] })
  fallbackOrder: FallbackOrderDto[];

  @ApiProperty({ type: [ZoneRowDto], description: 'After the last step.' })
  zoneTable: ZoneRowDto[];

  @ApiProperty({ type: [NumastatRowDto], description: 'Since the start of the replay.' })
  numastat: NumastatRowDto[];

  @ApiProperty(freeObject('/proc/vmstat events since the start.', { pgalloc_normal: 262144 }))
  vmstat: Record<string, number>;

  @ApiProperty({ type: [RateRowDto], description: '`sar -B` columns per step.' })
  rates: RateRowDto[];

  @ApiProperty({
    type: 'array',
    items: { type: 'object', additionalProperties: true },
    description:
      'Kills, spills, reclaim, kswapd and memory blocks, each with its step. The first 20 kills have the `report` that dmesg would show, line by line.',
    example: [{ step: 2, type: 'kswapd_wake', timeNs: 120000, nodeId: 0 }],
  })
  events: StepEvent[];

  @ApiProperty(freeObject('Sums over the replay.', { oomKills: 0, stallNs: 0 }))
  totals: ReplayResult['totals'];

  @ApiProperty({ type: [NoteDto], description: 'What is not modelled or was estimated.' })
  caveats: NoteDto[];

  @ApiProperty(freeObject('State before the first step.', { timeNs: 0 }))
  initial: ReplayResult['initial'];

  @ApiProperty({
    type: 'array',
    items: { type: 'object', additionalProperties: true },
    description: 'Every step with its status and the state after it.',
    example: [{ n: 1, op: 'guest', label: 'web1 starts', status: 'ok', pagesDone: 262144 }],
  })
  steps: ReplayResult['steps'];
}

export class SimulationPageDto extends PageDto {
  @ApiProperty({ type: [SimulationSummaryDto] })
  items: SimulationSummaryDto[];
}

export function simulationSummary(simulation: Simulation): SimulationSummaryDto {
  const { id, hostId, jobId, createdAt, basis, outcome, assumptions } = simulation;
  return { id, hostId, jobId, createdAt, basis, outcome, assumptions };
}

export function simulationDto(simulation: Simulation): SimulationDto {
  return { ...simulationSummary(simulation), ...simulationAnswer(simulation) };
}
