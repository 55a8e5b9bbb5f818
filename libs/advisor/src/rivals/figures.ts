import type { Evaluated } from '../evaluator';
import { scoreOf } from '../objective';
import type { Note } from '../placement';
import type { Rival, RivalFigures } from '../types';
import type { RivalRule } from './rule';

/** What is known of a rival's configuration. */
interface Known {
  /** Its replay, if there was one to the end. */
  replayOf: (rival: Rival) => Evaluated | undefined;
  /** Why there was none, as the end of a sentence. */
  whyNone: (rival: Rival) => string;
}

/** Every rival with the figures of its replay; of the others, a note that says why they have none. */
export function rivalsTold(
  rivals: Rival[],
  rules: readonly RivalRule[],
  { replayOf, whyNone }: Known,
): { rivals: RivalFigures[]; notes: Note[] } {
  const told: RivalFigures[] = [];
  const notes: Note[] = [];
  for (const rival of rivals) {
    const title = rules.find(({ name }) => name === rival.name)?.title ?? rival.name;
    const one = replayOf(rival);
    if (one !== undefined) {
      told.push(figuresOf(rival.name, title, one));
      continue;
    }
    const message = `The rule of thumb ${rival.name} (${title}) has no figures: ${whyNone(rival)}`;
    notes.push({ code: 'rival-not-replayed', message });
  }
  return { rivals: told, notes };
}

function figuresOf(name: string, title: string, { candidate }: Evaluated): RivalFigures {
  const { outcome } = candidate;
  return {
    ...{ name, title },
    id: candidate.id,
    ...(candidate.scale !== undefined && { scale: candidate.scale }),
    kills: scoreOf(outcome).kills,
    swappedOutPages: outcome.swappedOutPages,
    stallNs: outcome.stallNs,
    remoteShare: outcome.remoteShare,
    remoteCost: outcome.remoteCost,
    cacheLostPages: outcome.cacheLostPages,
  };
}
