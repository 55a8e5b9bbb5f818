/**
 * From a packing plan (host facts and domain documents as text) to the request that the advisor checks.
 * Pure: no Nest, no database, no files; the command line and the service share it.
 */
import { AdvisorInputError, compileReplay } from '@zonewise/advisor';
import type { DemandProfile, GuestSpec, PlanLimits, SimulationRequest } from '@zonewise/advisor';
import { importHost } from '@zonewise/host-facts';
import type { HostTexts } from '@zonewise/host-facts';
import { parseCapabilities, parseDomain } from '@zonewise/libvirt-xml';
import type { DomainView } from '@zonewise/libvirt-xml';
import { validateHostModel } from '@zonewise/simulator';
import type { HostModel, HostSysctls } from '@zonewise/simulator';
import { buildGuestSpec } from './guest-spec';
import { modelShapeProblems } from './model-shape';
import type { DomainUse } from './guest-spec';
import { readResidency } from './residency';
import type { ResidencyTexts } from './residency';

/** Most domains in one plan, simulation or recommendation. */
export const MAX_DOMAINS = 256;

export interface PlanDomain extends ResidencyTexts {
  /** Must equal `<name>` when given. */
  name?: string;
  xml: string;
  /** Default `planned`. */
  state?: 'planned' | 'running';
  /** Its name in the replay, where another process of the same guest has been on the host before. */
  process?: string;
}

export interface PackingPlan {
  /** Exactly one of model and facts; a host by its id is read where hosts are stored, before it is replayed. */
  host: {
    model?: HostModel;
    facts?: HostTexts & { capabilities?: string };
    hostId?: string;
  };
  domains: PlanDomain[];
  demand?: DemandProfile;
  limits?: PlanLimits;
  sysctl?: Partial<HostSysctls>;
  numatune?: SimulationRequest['numatune'];
  seed?: number;
  hardwareProfile?: string;
}

/** Why a plan cannot be judged; `path` is a JSON pointer into the plan, followed by the place in the text. */
export interface PlanProblem {
  code: string;
  path: string;
  message: string;
  line?: number;
  column?: number;
  expected?: string;
  found?: string;
}

export interface PlanRequest {
  request: SimulationRequest;
  limits: PlanLimits;
  caveats: { code: string; message: string }[];
}

export type PlanOutcome = { ok: true; value: PlanRequest } | { ok: false; problems: PlanProblem[] };

type Caveat = { code: string; message: string };
type HostOutcome =
  { ok: true; model: HostModel; caveats: Caveat[] } | { ok: false; problems: PlanProblem[] };

function under(prefix: string, problems: PlanProblem[]): PlanProblem[] {
  return problems.map((problem) => ({ ...problem, path: `${prefix}${problem.path}` }));
}

function fail(code: string, path: string, message: string): { ok: false; problems: PlanProblem[] } {
  return { ok: false, problems: [{ code, path, message }] };
}

function factsHost(facts: HostTexts & { capabilities?: string }): HostOutcome {
  const { capabilities, ...texts } = facts;
  let nodes: Parameters<typeof importHost>[1];
  if (capabilities !== undefined) {
    const parsed = parseCapabilities(capabilities);
    if (!parsed.ok) {
      return { ok: false, problems: under('/host/facts/capabilities', parsed.problems) };
    }
    nodes = parsed.value.topology;
  }
  const imported = importHost(texts, nodes);
  if (!imported.ok) return { ok: false, problems: under('/host/facts/', imported.problems) };
  return { ok: true, model: imported.value.model, caveats: imported.value.caveats };
}

/** Caveats about settings that were not given with the host, by the setting. */
const ASSUMED: { [name in keyof HostSysctls]?: string } = {
  zone_reclaim_mode: 'zone-reclaim-mode-assumed',
};

/** A host's caveats without those about settings that the plan itself gives. */
export function caveatsUnder(sysctl: Partial<HostSysctls> = {}, caveats: Caveat[]): Caveat[] {
  const given = Object.entries(ASSUMED).flatMap(([name, code]) =>
    sysctl[name as keyof HostSysctls] === undefined ? [] : [code],
  );
  return caveats.filter(({ code }) => !given.includes(code));
}

/** A host out of its model or its texts; problems have pointers that begin with `/host`. */
export function readPlanHost(host: PackingPlan['host']): HostOutcome {
  if (host.hostId !== undefined) {
    const message = 'A host by its id is known to a service only: name one with --server URL.';
    return fail('host-needs-server', '/host/hostId', message);
  }
  if ((host.model === undefined) === (host.facts === undefined)) {
    return fail('plan-host', '/host', 'A plan names its host by exactly one of model and facts.');
  }
  if (host.facts !== undefined) return factsHost(host.facts);
  const shape = modelShapeProblems(host.model);
  if (shape.length > 0) return { ok: false, problems: under('/host/model', shape) };
  const model = host.model as HostModel;
  const problems = validateHostModel(model);
  if (problems.length > 0) return { ok: false, problems: under('/host/model/', problems) };
  return { ok: true, model, caveats: [] };
}

type UseOutcome =
  { ok: true; use: DomainUse; notes: Caveat[] } | { ok: false; problems: PlanProblem[] };

function domainUse(domain: PlanDomain, view: DomainView, host: HostModel): UseOutcome {
  if (domain.state !== 'running') return { ok: true, use: { state: 'planned' }, notes: [] };
  const read = readResidency(domain, view, host);
  if (!read.ok) return { ok: false, problems: under('/', read.problems) };
  const { notes, ...residency } = read.value;
  return { ok: true, use: { state: 'running', ...residency }, notes };
}

type GuestOutcome = { ok: true; guest: GuestSpec } | { ok: false; problems: PlanProblem[] };

function planGuest(domain: PlanDomain, host: HostModel): GuestOutcome {
  const parsed = parseDomain(domain.xml);
  if (!parsed.ok) return { ok: false, problems: under('/xml', parsed.problems) };
  const view = parsed.value;
  if (domain.name !== undefined && domain.name !== view.name) {
    return fail(
      'name-mismatch',
      '/name',
      `The plan calls this domain ${JSON.stringify(domain.name)}, its document ${JSON.stringify(view.name)}.`,
    );
  }
  const use = domainUse(domain, view, host);
  if (!use.ok) return use;
  const spec = buildGuestSpec(view, host, use.use);
  if (!spec.ok) return { ok: false, problems: under('/xml', spec.problems) };
  spec.value.assumptions.push(...use.notes);
  if (domain.process !== undefined) spec.value.guest.name = domain.process;
  return { ok: true, guest: spec.value };
}

/** Guests of a host, in the order of the documents; problems have pointers that begin with `/domains`. */
export function readPlanGuests(
  domains: PlanDomain[],
  host: HostModel,
): { guests: GuestSpec[]; problems: PlanProblem[] } {
  const guests: GuestSpec[] = [];
  const problems: PlanProblem[] = [];
  const names = new Set<string>();
  domains.forEach((domain, index) => {
    const outcome = planGuest(domain, host);
    if (!outcome.ok) {
      problems.push(...under(`/domains/${index}`, outcome.problems));
      return;
    }
    const { name } = outcome.guest.guest;
    if (names.has(name)) {
      problems.push({
        code: 'duplicate-domain',
        path: `/domains/${index}/xml`,
        message: `Two domains of the plan are called ${JSON.stringify(name)}. Rename one of them.`,
      });
    }
    names.add(name);
    guests.push(outcome.guest);
  });
  return { guests, problems };
}

/** What is wrong with the names, nodes and numbers of a request, found without replaying it. */
export function requestProblem(request: SimulationRequest): PlanProblem | null {
  try {
    compileReplay(request);
    return null;
  } catch (error) {
    if (!(error instanceof AdvisorInputError)) throw error;
    return { code: error.code, path: error.path, message: error.message };
  }
}

/**
 * Reads a plan's texts and documents. All problems are collected, each with the place in the plan.
 *
 * @param mayBeIdle a host without domains is one too
 * @returns the request for `checkPlan` with the plan's limits, or why the plan cannot be judged
 */
export function buildPlanRequest(plan: PackingPlan, mayBeIdle = false): PlanOutcome {
  if ((plan.domains.length === 0 && !mayBeIdle) || plan.domains.length > MAX_DOMAINS) {
    return fail(
      'plan-domains',
      '/domains',
      `A plan has 1 to ${MAX_DOMAINS} domains, found ${plan.domains.length}.`,
    );
  }
  const host = readPlanHost(plan.host);
  if (!host.ok) return host;
  const { guests, problems } = readPlanGuests(plan.domains, host.model);
  if (problems.length > 0) return { ok: false, problems };
  const request: SimulationRequest = {
    host: host.model,
    guests,
    demand: plan.demand ?? {},
    seed: plan.seed ?? 1,
    ...(plan.sysctl === undefined ? {} : { sysctl: plan.sysctl }),
    ...(plan.numatune === undefined ? {} : { numatune: plan.numatune }),
    ...(plan.hardwareProfile === undefined ? {} : { hardwareProfile: plan.hardwareProfile }),
  };
  const wrong = requestProblem(request);
  if (wrong !== null) return { ok: false, problems: [wrong] };
  const caveats = caveatsUnder(plan.sysctl, host.caveats);
  return { ok: true, value: { request, limits: plan.limits ?? {}, caveats } };
}
