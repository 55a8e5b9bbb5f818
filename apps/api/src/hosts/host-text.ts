/** A stored host in the words of its kernel and tools. Pure. */
import { ApiPropertyOptional } from '@nestjs/swagger';
import {
  carriedCounts,
  isStateFile,
  printExtfragIndex,
  printFallbackOrder,
  printMemmap,
  printNodeStates,
  printSections,
  printStateFile,
  printUnusableIndex,
  printZoneRanges,
  STATE_FILES,
  type StateFile,
} from '@zonewise/host-facts';
import { replay, type HostModel } from '@zonewise/simulator';
import { IsIn, IsOptional } from 'class-validator';

/** Texts about the layout, which a replay does not change. */
const LAYOUT_TEXTS: Readonly<Record<string, (model: HostModel) => string>> = {
  extfrag_index: printExtfragIndex,
  unusable_index: printUnusableIndex,
  zonelists: printFallbackOrder,
  'node-states': printNodeStates,
  'zone-ranges': printZoneRanges,
  sections: printSections,
  memmap: printMemmap,
};

/** `sar -B` is about the time between two states, and a host is one. */
const HOST_FILES = STATE_FILES.filter((name) => name !== 'sar-b');

export const HOST_TEXTS: readonly string[] = [...HOST_FILES, ...Object.keys(LAYOUT_TEXTS)];

const FORMATS = ['json', 'text'] as const;

export class HostQuery {
  @ApiPropertyOptional({
    enum: FORMATS,
    description: 'Default `json`. `text`: what the kernel and its tools would print.',
  })
  @IsOptional()
  @IsIn(FORMATS, { message: `must be one of ${FORMATS.join(', ')}` })
  format?: (typeof FORMATS)[number];

  @ApiPropertyOptional({
    enum: HOST_TEXTS,
    description: 'Which text; absent: all of them, each under a line with its name.',
  })
  @IsOptional()
  @IsIn(HOST_TEXTS, { message: `must be one of ${HOST_TEXTS.join(', ')}` })
  view?: string;
}

/**
 * @param sourceTexts what the host was imported from: counters that the model does not have are taken from there
 * @param view one of {@link HOST_TEXTS}; undefined: all of them
 */
export function hostText(
  model: HostModel,
  sourceTexts: Record<string, string>,
  view: string | undefined,
): string {
  const print = textPrinter(model, sourceTexts);
  if (view !== undefined) return print(view);
  return HOST_TEXTS.map((name) => `==> ${name} <==\n${print(name)}`).join('\n');
}

function textPrinter(model: HostModel, sourceTexts: Record<string, string>) {
  let printFile: ((name: StateFile) => string) | undefined;
  return (name: string): string => {
    const layout = Object.hasOwn(LAYOUT_TEXTS, name) ? LAYOUT_TEXTS[name] : undefined;
    if (layout !== undefined) return layout(model);
    if (!isStateFile(name)) return '';
    printFile ??= filePrinter(model, sourceTexts);
    return printFile(name);
  };
}

/** The state before the first step of a replay is the host itself. */
function filePrinter(host: HostModel, sourceTexts: Record<string, string>) {
  const { initial } = replay({ host, runningGuests: [], steps: [], seed: 1 });
  const replayed = { host, initial, steps: [], carried: carriedCounts(sourceTexts) };
  return (name: StateFile): string => printStateFile(name, replayed, 0);
}
