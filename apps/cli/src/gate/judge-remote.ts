/** Asks a running service for the verdict on a plan: the same one, and the same problems, as judging it here. */
import type {
  FindingPlace,
  GateVerdict,
  JudgeOutcome,
  PlanDocument,
  PlanProblem,
  Severity,
} from '@zonewise/plan';
import { fail, PlanFileError } from './plan-folder';

/** Between two looks at a job. */
const POLL_MS = 500;
/** What takes longer is looked at while it runs: somebody may want to see how far it is. */
const WAIT_SECONDS = 5;

export interface RemoteOptions {
  /** Address of the service. */
  server: URL;
  today: string;
  failLevel?: Severity;
  /** While a job runs; 0..1. */
  onProgress: (fraction: number) => void;
}

interface Answer {
  status: number;
  location: string | null;
  body: unknown;
}

interface RemoteJob {
  state: string;
  progress: number;
  resultUrl: string | null;
  error: RemoteProblem | null;
}

interface RemoteProblem {
  code: string;
  detail: string;
  path?: string;
  errors?: PlanProblem[];
}

/** The address of a service. */
export function serverUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  const message = `it is the address of a service, such as http://127.0.0.1:3000; found ${text}`;
  return fail('invalid-option', '--server', message);
}

/**
 * Judges a plan by a service; large plans become jobs there, which are waited for.
 * @returns the verdict, or why the service could not judge, with places in the document
 * @throws PlanFileError where the service cannot be asked
 */
export async function judgeRemote(
  document: PlanDocument,
  options: RemoteOptions,
): Promise<JudgeOutcome> {
  const answer = await ask(options.server, '/v1/packing-plans/check', bodyOf(document, options));
  if (answer.status === 202) return waitFor(answer, document, options);
  if (answer.status >= 400) return refused(answer.body as RemoteProblem, document);
  return verdictOf(answer.body, document);
}

/** The plan as it is sent; hosts and guests keep their positions, by which places are found again. */
function bodyOf(document: PlanDocument, { today, failLevel }: RemoteOptions): object {
  const { hosts, guests, hardwareProfile, ...rest } = document;
  const level = failLevel ?? document.failLevel;
  return {
    ...rest,
    ...{ today, profile: hardwareProfile, failLevel: level },
    hosts: hosts.map(({ host, ...own }) => ({ ...own, ...host, path: undefined })),
    guests: guests.map((guest) => ({ ...guest, path: undefined })),
  };
}

async function ask(server: URL, path: string, body?: object): Promise<Answer> {
  const url = new URL(path, server);
  try {
    const response = await fetch(url, {
      redirect: 'error',
      ...(body === undefined
        ? {}
        : {
            method: 'POST',
            headers: { 'content-type': 'application/json', prefer: `wait=${WAIT_SECONDS}` },
            body: JSON.stringify(body),
          }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    if (isJson) {
      const location = response.headers.get('location');
      return { status: response.status, location, body: JSON.parse(text) };
    }
    return fail('server-failed', '--server', `${url.href} answered ${response.status} and no JSON`);
  } catch (error) {
    if (error instanceof PlanFileError) throw error;
    const { cause, message } = error as Error & { cause?: { message?: string } };
    const why = cause?.message ?? message;
    return fail('server-failed', '--server', `${url.href} cannot be asked: ${why}`);
  }
}

async function waitFor(
  { location }: Answer,
  document: PlanDocument,
  { server, onProgress }: RemoteOptions,
): Promise<JudgeOutcome> {
  if (location === null) return fail('server-failed', '--server', 'the job has no address');
  for (;;) {
    const job = (await ask(server, location)).body as RemoteJob;
    if (job.error) return refused(job.error, document);
    if (job.state === 'succeeded' && job.resultUrl !== null) {
      return verdictOf((await ask(server, job.resultUrl)).body, document);
    }
    if (job.state !== 'queued' && job.state !== 'running') {
      return fail('server-failed', '--server', `the job ended as ${job.state}`);
    }
    onProgress(job.progress);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function verdictOf(body: unknown, document: PlanDocument): JudgeOutcome {
  const verdict = body as Partial<GateVerdict>;
  if (!Array.isArray(verdict.findings) || !Array.isArray(verdict.hosts)) {
    return fail('server-failed', '--server', 'the service answered with no verdict');
  }
  const value = verdict as GateVerdict;
  const findings = value.findings.map((finding) => {
    const here = (place: FindingPlace): FindingPlace => ({
      ...place,
      path: placeHere(place.path, document),
    });
    const related = finding.related?.map((each) => ({ ...each, place: here(each.place) }));
    return {
      ...finding,
      place: here(finding.place),
      ...(related === undefined ? {} : { related }),
    };
  });
  return { ok: true, value: { ...value, findings } };
}

function refused(problem: RemoteProblem, document: PlanDocument): JudgeOutcome {
  const { code, detail, path = '', errors = [] } = problem;
  const own = { code, path, message: detail };
  const problems = (errors.length > 0 ? errors : [own]).map((each) => ({
    ...each,
    path: placeHere(each.path, document),
  }));
  return { ok: false, problems };
}

/** Pointers into what was sent (`/guests/3/xml`, `hosts[0].model`) as pointers into the plan. */
function placeHere(sent: string, { hosts, guests }: PlanDocument): string {
  const pointer = sent.startsWith('/') || sent === '' ? sent : `/${sent.replace(/[.[]/g, '/')}`;
  const [, list, index, rest = ''] =
    /^\/(hosts|guests)\/(\d+)(.*)$/s.exec(pointer.replace(/\]/g, '')) ?? [];
  const known = list === 'hosts' ? hosts : guests;
  const place = index === undefined ? undefined : known[Number(index)]?.path;
  return place === undefined ? pointer : place + rest;
}
