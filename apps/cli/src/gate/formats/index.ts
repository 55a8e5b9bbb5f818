import type { Format } from '../report';
import { github } from './github';
import { json } from './json';
import { junit } from './junit';
import { markdown } from './markdown';
import { sarif } from './sarif';
import { table } from './table';

/** Output formats by the name that `--output` takes. */
export const FORMATS = { table, json, junit, sarif, markdown, github } satisfies Record<
  string,
  Format
>;
export type FormatName = keyof typeof FORMATS;
