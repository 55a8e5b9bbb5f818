import type { DomainView } from '@zonewise/libvirt-xml';
import { readResidency, ResidencyTexts } from '@zonewise/plan';
import type { HostModel } from '@zonewise/simulator';
import type { Domain } from '../database/entities/domain.entity';
import { ProblemException } from '../http/problem';

/** The columns of a domain that say where its memory is. */
export type ResidencyColumns = Pick<
  Domain,
  'residency' | 'residencySource' | 'residencyNotes' | 'swapPages'
>;

/** A planned domain has no memory yet. */
export const NO_RESIDENCY: ResidencyColumns = {
  residency: null,
  residencySource: null,
  residencyNotes: [],
  swapPages: 0,
};

export const hasTexts = (texts: ResidencyTexts): boolean =>
  texts.numaMaps !== undefined || texts.numastat !== undefined || texts.smapsRollup !== undefined;

/**
 * Where a running domain's memory is, measured or estimated.
 * @throws ProblemException invalid-residency
 */
export function residencyOf(
  texts: ResidencyTexts,
  view: DomainView,
  model: HostModel,
): ResidencyColumns {
  const outcome = readResidency(texts, view, model);
  if (outcome.ok) {
    const { residency, residencySource, swapPages, notes } = outcome.value;
    return { residency, residencySource, swapPages, residencyNotes: notes };
  }
  const { problems } = outcome;
  const detail = problems[0]?.message ?? 'The texts are refused.';
  throw new ProblemException('invalid-residency', detail, { errors: problems });
}
