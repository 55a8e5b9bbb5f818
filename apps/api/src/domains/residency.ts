import type { DomainView } from '@zonewise/libvirt-xml';
import { readResidency, type ResidencyTexts } from '@zonewise/plan';
import type { HostModel } from '@zonewise/simulator';
import type { Domain } from '../database/entities/domain.entity';
import { ProblemException } from '../http/problem';

export type { ResidencyTexts };

export type Residency = Pick<
  Domain,
  'residency' | 'residencySource' | 'residencyNotes' | 'swapPages'
>;

/** A planned domain has no memory yet. */
export const NO_RESIDENCY: Residency = {
  residency: null,
  residencySource: null,
  residencyNotes: [],
  swapPages: 0,
};

export const hasTexts = (texts: ResidencyTexts): boolean =>
  texts.numaMaps !== undefined || texts.numastat !== undefined || texts.smapsRollup !== undefined;

/**
 * Where a running domain's memory is, in the columns that store it.
 * @throws ProblemException invalid-residency
 */
export function residencyOf(texts: ResidencyTexts, view: DomainView, model: HostModel): Residency {
  const read = readResidency(texts, view, model);
  if (read.ok) {
    const { notes, ...residency } = read.value;
    return { ...residency, residencyNotes: notes };
  }
  const [first] = read.problems;
  throw new ProblemException('invalid-residency', first?.message ?? 'The texts are refused.', {
    errors: read.problems,
    path: first?.path,
  });
}
