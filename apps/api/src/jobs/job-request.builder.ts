import { Injectable } from '@nestjs/common';
import type { AdviceOptions, AdviceRequest, GuestSpec, SimulationRequest } from '@zonewise/advisor';
import { Domain } from '../database/entities/domain.entity';
import { HostSnapshot } from '../database/entities/host-snapshot.entity';
import { Host } from '../database/entities/host.entity';
import { Transactions } from '../database/transactions';
import { ProblemError, ProblemException } from '../http/problem';
import { buildGuestSpec, MAX_DOMAINS, requestProblem } from '@zonewise/plan';
import type { JobRequest } from './job-kinds';

/** What a caller asks for; absent means the stored or the default. */
export interface ReplayAsk {
  /** Names of stored domains; absent: all of them. */
  domains?: string[];
  demand?: SimulationRequest['demand'];
  sysctl?: SimulationRequest['sysctl'];
  numatune?: SimulationRequest['numatune'];
  seed?: number;
  profile?: string;
  /** Of a recommendation: how it is judged, and what it must not touch. */
  options?: AdviceOptions;
}

const DEFAULT_SEED = 1;

/** Transformed DTOs as plain data, without the fields that were not given. */
const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** Snapshots a stored host and its domains into a job's complete request. */
@Injectable()
export class JobRequestBuilder {
  constructor(private readonly transactions: Transactions) {}

  /**
   * @throws ProblemException host-not-found, domain-not-found (404), unknown-host-node,
   *   invalid-simulation-request (422)
   */
  async build(hostId: string, ask: ReplayAsk): Promise<JobRequest> {
    const { host, domains, snapshot } = await this.load(hostId, ask.domains);
    const { demand = {}, sysctl = {}, numatune = {}, seed = DEFAULT_SEED } = plain(ask);
    const profile = {
      ...(ask.profile === undefined ? {} : { hardwareProfile: ask.profile }),
      ...(ask.options === undefined ? {} : { options: plain(ask.options) }),
    };
    const simulation: AdviceRequest = {
      host: host.model,
      guests: this.guests(host, domains),
      ...{ demand, sysctl, numatune, seed },
      ...profile,
    };
    const wrong = requestProblem(simulation);
    if (wrong !== null) {
      throw new ProblemException('invalid-simulation-request', wrong.message, { errors: [wrong] });
    }
    return {
      simulation,
      documents: domains.map(({ name, xml }) => ({ name, xml })),
      basis: {
        hostVersion: host.version,
        ...(snapshot === null ? {} : { snapshot }),
        domains: domains.map(({ name, state, version }) => ({ name, state, version })),
        ...{ demand, sysctl, numatune, seed },
        ...profile,
      },
    };
  }

  private async load(
    hostId: string,
    names: string[] | undefined,
  ): Promise<{
    host: Host;
    domains: Domain[];
    snapshot: { number: number; createdAt: string } | null;
  }> {
    const { host, stored, last } = await this.transactions.run(async (manager) => ({
      host: await manager.findOneBy(Host, { id: hostId }),
      stored: await manager.find(Domain, {
        where: { hostId },
        order: { createdAt: 'ASC', id: 'ASC' },
      }),
      last: await manager.findOne(HostSnapshot, {
        select: { id: true, number: true, createdAt: true },
        where: { hostId },
        order: { number: 'DESC' },
      }),
    }));
    if (host === null) {
      const detail = `No host has the id ${hostId}.`;
      throw new ProblemException('host-not-found', detail, { path: 'hostId' });
    }
    const domains = this.chosen(stored, names);
    if (domains.length > MAX_DOMAINS) {
      throw new ProblemException(
        'invalid-simulation-request',
        `The host has ${domains.length} domains; at most ${MAX_DOMAINS} are replayed together: name them in domains.`,
        { path: 'domains' },
      );
    }
    const snapshot = last === null ? null : { number: last.number, createdAt: last.createdAt };
    return { host, domains, snapshot };
  }

  private chosen(stored: Domain[], names: string[] | undefined): Domain[] {
    if (names === undefined) return stored;
    const errors = names.flatMap((name, index): ProblemError[] => {
      if (stored.some((domain) => domain.name === name)) return [];
      const message = `The host has no domain ${JSON.stringify(name)}.`;
      return [{ code: 'domain-not-found', path: `domains[${index}]`, message }];
    });
    const first = errors[0];
    if (first !== undefined)
      throw new ProblemException('domain-not-found', first.message, { errors });
    return stored.filter((domain) => names.includes(domain.name));
  }

  private guests(host: Host, domains: Domain[]): GuestSpec[] {
    const errors: ProblemError[] = [];
    const guests: GuestSpec[] = [];
    for (const domain of domains) {
      const spec = buildGuestSpec(domain.view, host.model, {
        state: domain.state,
        residency: domain.residency ?? [],
        residencySource: domain.residencySource ?? 'estimated',
        swapPages: domain.swapPages,
      });
      if (spec.ok) {
        spec.value.assumptions.push(...domain.residencyNotes);
        guests.push(spec.value);
      } else {
        const place = `domains/${domain.name}`;
        errors.push(
          ...spec.problems.map((problem) => ({ ...problem, path: place + problem.path })),
        );
      }
    }
    if (errors.length === 0) return guests;
    const detail = 'A stored domain does not fit the host as it now is; store it again.';
    throw new ProblemException('unknown-host-node', detail, { errors });
  }
}
