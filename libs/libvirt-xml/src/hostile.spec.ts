/** Documents made to harm: each is refused with a code, early, and costs no more than its limit. */
import { LIMITS, parseCapabilities, parseDomain, textOf, textOfStream } from '.';
import { domainXml } from '../test/documents';

const refusal = (xml: string): string => {
  const outcomes = [parseDomain(xml), parseCapabilities(xml)];
  const [codes, others] = outcomes.map((outcome) =>
    outcome.ok ? ['accepted'] : outcome.problems.map(({ code }) => code),
  );
  // What is wrong with the text is the same, whatever it was taken for.
  expect(others).toEqual(codes);
  return codes?.join() ?? '';
};
const MIB = 1024 * 1024;

describe('hostile documents', () => {
  it.each<[string, string, () => string]>([
    ['a DOCTYPE', 'xml-doctype', () => '<!DOCTYPE domain><domain/>'],
    ['a DOCTYPE behind a comment', 'xml-doctype', () => '<!-- a --> <!DOCTYPE a><domain/>'],
    [
      'entities that multiply',
      'xml-doctype',
      () => '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><domain>&d;</domain>',
    ],
    [
      'a file as an entity',
      'xml-doctype',
      () => '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><domain>&b;</domain>',
    ],
    ['an entity of nowhere', 'xml-entity', () => '<domain>&b;</domain>'],
    ['a parameter entity', 'xml-entity', () => "<domain type='&%b;'/>"],
    ['a reference to NUL', 'xml-entity', () => '<domain>&#0;</domain>'],
    ['a reference beyond Unicode', 'xml-entity', () => '<domain>&#x110000;</domain>'],
    ['a million levels', 'nesting-too-deep', () => '<a>'.repeat(1_000_000)],
    ['just too deep', 'nesting-too-deep', () => '<a>'.repeat(LIMITS.depth + 1)],
    [
      'attributes without end',
      'too-many-attributes',
      () => `<domain ${Array.from({ length: 100_000 }, (_, i) => `a${i}='1'`).join(' ')}/>`,
    ],
    ['elements without end', 'too-many-elements', () => `<domain>${'<a/>'.repeat(1_000_000)}`],
    ['15 MiB of junk', 'xml-syntax', () => 'x'.repeat(15 * MIB)],
    ['15 MiB of open brackets', 'xml-syntax', () => '<'.repeat(15 * MIB)],
    ['15 MiB of ampersands', 'xml-entity', () => `<a>${'&'.repeat(15 * MIB)}`],
    ['15 MiB of one attribute', 'xml-syntax', () => `<domain a='${'x'.repeat(15 * MIB)}`],
    ['15 MiB of one name', 'xml-syntax', () => `<${'x'.repeat(15 * MIB)}`],
    ['17 MiB of blanks', 'document-too-large', () => ' '.repeat(17 * MIB)],
    ['NUL in the text', 'xml-syntax', () => '<domain>\0</domain>'],
    ['NUL in front', 'xml-syntax', () => '\0<domain/>'],
    ['half of a character', 'xml-syntax', () => '<domain>\ud800</domain>'],
    ['nothing', 'xml-syntax', () => ''],
  ])('%s: %s', (_, code, make) => {
    expect(refusal(make())).toBe(code);
  });

  it('names at most 100 problems', () => {
    const pins = "<vcpupin vcpu='0' cpuset='x'/>".repeat(5000);
    const outcome = parseDomain(domainXml({ tune: `<cputune>${pins}</cputune>` }));
    const codes = outcome.ok ? [] : outcome.problems.map(({ code }) => code);
    expect(codes).toHaveLength(LIMITS.problems + 1);
    expect(codes.at(-1)).toBe('too-many-problems');
  });

  it('has no sizes, sets or counts that become loops', () => {
    const xml = domainXml({
      vcpu: "<vcpu cpuset='0-999999999'>4294967295</vcpu>",
      tune: '<iothreads>4294967295</iothreads>',
      cpu: "<cpu><numa><cell id='4294967295' cpus='0-16383' memory='9007199254740991'/></numa></cpu>",
    });
    const outcome = parseDomain(xml);
    const codes = outcome.ok ? [] : outcome.problems.map(({ code }) => code);
    expect(codes).toEqual(
      expect.arrayContaining(['invalid-number', 'invalid-set', 'cell-id-gap', 'size-overflow']),
    );
  });
});

describe('bytes', () => {
  const domain = domainXml();

  it('are the text that they are, a byte order mark included', () => {
    const text = `\ufeff${domain.replace('guest', 'gäst 😀')}`;
    expect(textOf(Buffer.from(text))).toEqual({ ok: true, value: text });
  });

  it.each<[string, Buffer, number, number, string]>([
    ['Latin 1', Buffer.from('<a>\n<b>ä', 'latin1'), 2, 4, 'byte 0xe4'],
    ['UTF-16', Buffer.from('\ufeff<a/>', 'utf16le'), 1, 1, 'byte 0xff'],
    ['a character cut off', Buffer.from('<a>😀').subarray(0, 5), 1, 4, 'byte 0xf0'],
    ['an overlong slash', Buffer.from([0x3c, 0xc0, 0xaf]), 1, 2, 'byte 0xc0'],
    ['half of a pair', Buffer.from([0x0a, 0xed, 0xa0, 0x80]), 2, 1, 'byte 0xed'],
  ])('of %s are refused where they are', (_, bytes, line, column, found) => {
    expect(textOf(bytes)).toMatchObject({
      ok: false,
      problems: [{ code: 'xml-syntax', line, column, found, expected: 'UTF-8' }],
    });
  });

  it('of a stream come together, also where a character is cut', async () => {
    const bytes = Buffer.from(domain.replace('guest', '😀'));
    const at = bytes.indexOf(0xf0) + 2;
    const outcome = await textOfStream([bytes.subarray(0, at), bytes.subarray(at)]);
    expect(outcome).toEqual({ ok: true, value: bytes.toString() });
  });

  it('of a stream of 200 MB are taken up to the limit and no further', async () => {
    let taken = 0;
    let closed = false;
    const chunk = Buffer.alloc(MIB, 'x');
    async function* stream(): AsyncGenerator<Uint8Array> {
      try {
        for (; taken < 200; taken += 1) {
          await Promise.resolve();
          yield chunk;
        }
      } finally {
        closed = true;
      }
    }
    expect(await textOfStream(stream())).toMatchObject({
      ok: false,
      problems: [{ code: 'document-too-large', line: 1, column: 1 }],
    });
    expect([taken, closed]).toEqual([16, true]);
  });
});
