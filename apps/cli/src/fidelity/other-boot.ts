/** What another boot of the kernel did, in the shape of a prediction: how well the kernel foretells itself. */
import { answersOf, expectedOf, isRange } from './answers';
import type { RecordedCase } from './case-file';
import type { Observable } from './observables';
import { readCases } from './read-cases';

/**
 * Every value of a recording of one boot, as a replay would have to predict it. Of several boots the median.
 * @throws Error when the recording was stripped of what the kernel did
 */
export function bootAsPrediction(boot: RecordedCase): Observable[] {
  const answers = answersOf(boot);
  if (answers === null) {
    throw new Error(`${boot.id}: a stripped recording; expected one that says what the kernel did`);
  }
  return expectedOf(answers, boot.boot.log ?? []).flatMap((expected, step) =>
    [...expected].map(([key, answer]) => ({
      step,
      key,
      simulated: isRange(answer) ? answer[1] : answer,
    })),
  );
}

/**
 * Recordings of a folder by the case that they are another boot of.
 * @throws Error when the folder cannot be read, or holds no recording
 */
export function otherBoots(folder: string): Map<string, RecordedCase> {
  const boots = new Map([...readCases(folder)].map((boot) => [boot.id, boot]));
  if (boots.size === 0) throw new Error(`${folder} holds no recorded case; expected other boots`);
  return boots;
}
