import { headroom, type Flavour } from '@zonewise/plan';
import { fail } from '../gate/plan-folder';
import { Refused } from './answer';
import { perHost, suggestion, type ReplayOptions } from './replay-plan';

export interface HeadroomOptions extends ReplayOptions {
  /** Names of flavours of the plan; default: all of them. */
  flavour?: string[];
  /** Page cache that every node has to keep, MiB. */
  pageCache?: string;
}

/** How many more guests of each flavour the hosts of a plan take. */
export function headroomOfPlan(path: string, options: HeadroomOptions = {}): number {
  return perHost(path, { ...options, withIdle: true }, ({ request, caveats }, plan) => {
    const ask = {
      flavours: chosen(plan.document.flavours ?? {}, options.flavour, plan.file),
      ...(options.pageCache === undefined ? {} : { pageCacheMib: mibOf(options.pageCache) }),
      ...(plan.document.limits === undefined ? {} : { limits: plan.document.limits }),
    };
    const outcome = headroom(request, ask);
    if (!outcome.ok) {
      throw new Refused(outcome.problems.map((problem) => ({ ...problem, file: plan.file })));
    }
    return { ...outcome.value, caveats: [...caveats, ...outcome.value.caveats] };
  });
}

function mibOf(text: string): number {
  const mib = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(mib)) return mib;
  return fail('invalid-option', '--page-cache', `it is a whole number of MiB; found ${text}`);
}

function chosen(
  flavours: Record<string, Flavour>,
  wanted: string[] | undefined,
  file: string,
): Record<string, Flavour> {
  const names = Object.keys(flavours);
  if (names.length === 0) {
    const message = 'The plan has no flavours: there is nothing to count.';
    throw new Refused([{ code: 'unknown-flavour', path: '/flavours', file, message }]);
  }
  if (wanted === undefined) return flavours;
  const unknown = wanted.filter((name) => !Object.hasOwn(flavours, name));
  if (unknown.length > 0) {
    throw new Refused(
      unknown.map((name) => ({
        ...{ code: 'unknown-flavour', path: '--flavour', file },
        message: `No flavour of the plan is called ${name}.${suggestion(name, names)}`,
        expected: names.slice(0, 20).join(', '),
      })),
    );
  }
  return Object.fromEntries(wanted.map((name) => [name, flavours[name]!]));
}
