/**
 * Real libvirt documents, read in place: ZONEWISE_LIBVIRT_CORPUS names a folder with index.json and
 * probes.json. They are under other licences and are not part of this repository.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CorpusEntry {
  path: string;
  kind: 'domain' | 'domain-status' | 'capabilities';
  expect: 'valid' | 'libvirt-rejects';
  reject_scope?: string;
}

export interface Corpus {
  files: CorpusEntry[];
  probes: { label: string; xml: string; verdict: string }[];
  read: (path: string) => string;
}

/** The documents, or null and a line that says why, where no folder is named. */
export function openCorpus(): Corpus | null {
  const folder = process.env.ZONEWISE_LIBVIRT_CORPUS ?? '';
  if (folder === '') {
    console.log(
      'real libvirt documents not read: ZONEWISE_LIBVIRT_CORPUS is not set to their folder',
    );
    return null;
  }
  const read = (path: string): string => readFileSync(join(folder, path), 'utf8');
  const { files } = JSON.parse(read('index.json')) as Pick<Corpus, 'files'>;
  const { probes } = JSON.parse(read('probes.json')) as Pick<Corpus, 'probes'>;
  return { files, probes, read };
}
