/** Documents made wrong, by chance and again the same from the same seed. */

export type Random = () => number;

/** Numbers from 0 up to 1 (mulberry32). */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export const below = (random: Random, limit: number): number => Math.floor(random() * limit);
export const pick = <T>(random: Random, list: readonly T[]): T => {
  const found = list[below(random, list.length)];
  if (found === undefined) throw new RangeError('nothing to pick from');
  return found;
};

/** Pieces that readers of XML and of libvirt's values stumble over. */
const PIECES = [
  ...['<', '>', '/>', '</', '<!--', '-->', '<![CDATA[', ']]>', '<?', '?>', '<?xml version="1.0"?>'],
  ...[
    '&',
    '&amp;',
    '&#0;',
    '&#x110000;',
    '&lol;',
    '<!DOCTYPE d [<!ENTITY a "b">]>',
    '\0',
    '\ufffe',
  ],
  ...['\r', '\r\n', '\t', '\u2028', '\ud800', '\ud83d\ude00', '\ufeff', '"', "'", '=', ' '],
  ...['<domain>', '</domain>', '<domains>', '<domstatus>', '<cell/>', '<numa>', '<numatune/>'],
  ...["<memory mode='strict'/>", '<memory/>', '<vcpu/>', '<memnode/>', '<page/>', '<disk/>'],
];
const VALUES = [
  ...['', '0', '-1', '+1', '1', '2', '16383', '16384', '4294967295', '4294967296', '1e9', ' 7'],
  ...['18446744073709551615', '9007199254740993', '99999999999999999999999', '0x10', 'NaN', '1.5'],
  ...['0-3', '^0', '0,^0', '0-16383', '3-1', '0,,1', '0-', 'a', ','.repeat(40), '0-3,^1,8'],
  ...['auto', 'static', 'strict', 'preferred', 'restrictive', 'interleave', 'shared', 'memfd'],
  ...['KiB', 'Gi', 'EiB', 'bytes', 'yes', 'no', 'on', 'kvm', 'qemu', 'xen', 'dimm', 'virtio-mem'],
];

const cut = (text: string, from: number, to: number, put = ''): string =>
  text.slice(0, from) + put + text.slice(to);

type Mutation = (text: string, random: Random, others: readonly string[]) => string;

/** A span of the text that is a tag, an attribute or a piece of character data. */
function span(text: string, random: Random, what: RegExp): [from: number, to: number] | null {
  what.lastIndex = below(random, text.length);
  const match = what.exec(text);
  return match === null ? null : [match.index, match.index + match[0].length];
}

const TAG = /<[^<>]*>/g;
const VALUE = /=\s*(["'])[^"']*\1/g;
const TEXT = />[^<>]+</g;
const ELEMENT = /<(\w+)[^<>]*>[^<]*<\/\1>|<\w+[^<>]*\/>/g;

const MUTATIONS: readonly Mutation[] = [
  (text, random) => cut(text, below(random, text.length), text.length),
  (text, random) => {
    const at = below(random, text.length);
    return cut(text, at, at, pick(random, PIECES));
  },
  (text, random) => {
    const at = below(random, text.length);
    return cut(text, at, at + 1 + below(random, 8));
  },
  (text, random) => {
    const at = below(random, text.length);
    return cut(text, at, at + 1, String.fromCharCode(below(random, random() < 0.9 ? 128 : 65536)));
  },
  (text, random) => {
    const found = span(text, random, VALUE);
    return found === null ? text : cut(text, found[0], found[1], `='${pick(random, VALUES)}'`);
  },
  (text, random) => {
    const found = span(text, random, TEXT);
    return found === null ? text : cut(text, found[0] + 1, found[1] - 1, pick(random, VALUES));
  },
  (text, random) => {
    const found = span(text, random, ELEMENT);
    return found === null ? text : cut(text, found[0], found[1]);
  },
  (text, random) => {
    const found = span(text, random, ELEMENT);
    return found === null ? text : cut(text, found[1], found[1], text.slice(...found));
  },
  (text, random, others) => {
    const other = pick(random, others);
    const found = span(other, random, ELEMENT);
    const place = span(text, random, TAG);
    return found === null || place === null
      ? text
      : cut(text, place[1], place[1], other.slice(...found));
  },
  (text, random) => {
    const found = span(text, random, TAG);
    if (found === null) return text;
    return cut(text, found[0], found[1], text.slice(...found).repeat(2 + below(random, 80)));
  },
];

/** One to six changes of a document. @param others documents that pieces may come from */
export function mutate(text: string, random: Random, others: readonly string[]): string {
  let mutated = text;
  for (let left = 1 + below(random, 6); left > 0 && mutated.length > 0; left -= 1) {
    mutated = pick(random, MUTATIONS)(mutated, random, others);
  }
  return mutated;
}
