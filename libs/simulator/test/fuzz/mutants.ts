import { MUTATIONS, referenceMachine } from '../reference';
import type { Mutation } from '../reference';
import type { FuzzCase } from './arbitrary';
import { runMachines } from './compare';
import type { Difference } from './compare';

/**
 * Runs each mutated reference against the true one, case after case, until they differ.
 * @returns the first difference of each mutation; those without one are not in the map
 */
export function findMutants(cases: readonly FuzzCase[]): Map<Mutation, Difference> {
  const found = new Map<Mutation, Difference>();
  for (const mutation of MUTATIONS) {
    for (const { config, ops } of cases) {
      const mutated = referenceMachine(config, mutation);
      const difference = runMachines(config, ops, mutated, referenceMachine(config));
      if (difference !== null) {
        found.set(mutation, difference);
        break;
      }
    }
  }
  return found;
}
