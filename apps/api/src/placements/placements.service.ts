import { Injectable, OnModuleInit } from '@nestjs/common';
import {
  buildGuestSpec,
  type PlacementAnswer,
  type PlacementDocument,
  type PlacementHost,
  type Resident,
} from '@zonewise/plan';
import { In, type EntityManager } from 'typeorm';
import { Domain } from '../database/entities/domain.entity';
import { Host } from '../database/entities/host.entity';
import { Transactions } from '../database/transactions';
import { ProblemError, ProblemException } from '../http/problem';
import { JobKinds, type JobOf, type JobRequests, type JobResults } from '../jobs/job-kinds';
import type { Job } from '../jobs/job.entity';
import { JobsService } from '../jobs/jobs.service';
import { StoredResults } from '../jobs/stored-results';
import { ImmediateWork, inputRefused } from '../work/immediate-work';
import { CreatePlacementDto, PlacementHostDto } from './placement.dto';

interface StoredHost {
  host: Host;
  domains: Domain[];
}

/** Hosts that one query asks for: databases bound the parameters of a statement. */
const HOSTS_PER_QUERY = 500;

/** Places guests in the worker threads: small requests at once and without a trace, others as jobs. */
@Injectable()
export class PlacementsService implements OnModuleInit, JobResults<'placement'> {
  constructor(
    private readonly transactions: Transactions,
    private readonly work: ImmediateWork,
    private readonly kinds: JobKinds,
    private readonly jobs: JobsService,
    private readonly results: StoredResults,
  ) {}

  onModuleInit(): void {
    this.kinds.register('placement', this);
  }

  /**
   * @param signal the caller went away
   * @throws ProblemException placement-not-readable (422), host-not-found (404), queue-full, time-limit (503)
   */
  async place(body: CreatePlacementDto, signal: AbortSignal): Promise<PlacementAnswer> {
    const document = await this.documentOf(body);
    return this.work.run({ kind: 'placement', document }, 'placement-not-readable', signal);
  }

  /** @throws ProblemException as {@link place} before the work begins, and {@link JobsService.submit} */
  async submit(body: CreatePlacementDto): Promise<Job> {
    return this.jobs.submit('placement', null, { document: await this.documentOf(body) });
  }

  store(
    manager: EntityManager,
    job: JobOf<'placement'>,
    _work: JobRequests['placement'],
    answer: PlacementAnswer,
  ): Promise<string> {
    return this.results.store(manager, job, answer);
  }

  /** @throws ProblemException placement-not-found (404) */
  get(id: string): Promise<PlacementAnswer> {
    return this.results.get('placement', id);
  }

  /** @throws ProblemException placement-not-found (404) */
  remove(id: string): Promise<void> {
    return this.results.remove('placement', id);
  }

  private async documentOf(body: CreatePlacementDto): Promise<PlacementDocument> {
    const { hosts, guests = [], evacuate, profile, ...rest } = body;
    const stored = await this.storedHosts(hosts.flatMap(({ hostId }) => hostId ?? []));
    const read = hosts.map((host, i): PlacementHost => {
      const path = `/hosts/${i}`;
      return host.hostId === undefined
        ? inlineHost(host, path)
        : this.storedHost(host, path, stored.get(host.hostId));
    });
    const leaving = hosts.findIndex(({ hostId }) => hostId === evacuate && hostId !== undefined);
    const document: PlacementDocument = {
      ...rest,
      hosts: read,
      guests: guests.map((guest, i) => ({ ...guest, path: `/guests/${i}` })),
      evacuate: read[leaving]?.name ?? evacuate,
      hardwareProfile: profile,
    };
    // DTO instances carry their class; a worker is sent plain data.
    return JSON.parse(JSON.stringify(document)) as PlacementDocument;
  }

  /** Stored hosts with their domains, all as they are at one moment. */
  private storedHosts(ids: string[]): Promise<Map<string, StoredHost>> {
    return this.transactions.read(async (manager) => {
      const found = new Map<string, StoredHost>();
      const wanted = [...new Set(ids)];
      for (let at = 0; at < wanted.length; at += HOSTS_PER_QUERY) {
        const some = wanted.slice(at, at + HOSTS_PER_QUERY);
        for (const host of await manager.findBy(Host, { id: In(some) })) {
          found.set(host.id, { host, domains: [] });
        }
        const domains = await manager.find(Domain, {
          where: { hostId: In(some) },
          order: { createdAt: 'ASC', id: 'ASC' },
        });
        for (const domain of domains) found.get(domain.hostId)?.domains.push(domain);
      }
      return found;
    });
  }

  private storedHost(
    dto: PlacementHostDto,
    path: string,
    known: StoredHost | undefined,
  ): PlacementHost {
    const { hostId, model, facts, domains, ...own } = dto;
    if (hostId === undefined || model !== undefined || facts !== undefined) {
      const message = 'A host is named by exactly one of hostId, model and facts.';
      throw notReadable([{ code: 'plan-host', path, message }]);
    }
    if (known === undefined) {
      const detail = `No host has the id ${hostId}.`;
      throw new ProblemException('host-not-found', detail, {
        path: `${path.slice(1).replace('/', '.')}.hostId`,
      });
    }
    const { host, domains: stored } = known;
    const name = own.name ?? host.name;
    const common = { ...own, name, path, host: { model: host.model } };
    if (domains !== undefined) return { ...common, domains };
    return { ...common, residents: this.residents(host, stored, path) };
  }

  private residents(host: Host, domains: Domain[], path: string): Resident[] {
    const errors: ProblemError[] = [];
    const residents = domains.flatMap((domain): Resident[] => {
      const { view, state, swapPages } = domain;
      const spec = buildGuestSpec(view, host.model, {
        ...{ state, swapPages },
        residency: domain.residency ?? [],
        residencySource: domain.residencySource ?? 'estimated',
      });
      if (spec.ok) return [{ view, spec: spec.value }];
      const place = `${path}/domains/${domain.name}`;
      errors.push(...spec.problems.map((problem) => ({ ...problem, path: place + problem.path })));
      return [];
    });
    if (errors.length === 0) return residents;
    throw notReadable(errors);
  }
}

const notReadable = (errors: ProblemError[]): ProblemException =>
  inputRefused('placement-not-readable', errors);

/** Its name where none is given is its place in the request. */
function inlineHost({ name, model, facts, ...own }: PlacementHostDto, path: string): PlacementHost {
  const host = {
    ...(model === undefined ? {} : { model }),
    ...(facts === undefined ? {} : { facts }),
  };
  return { ...own, name: name ?? path.slice(1).replace('/', '-'), path, host };
}
