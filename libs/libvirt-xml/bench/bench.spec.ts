import { parseDomain } from '../src';
import { document, main, run } from './main';

describe('npm run bench -- --only xml', () => {
  it('measures both on documents that both read alike', () => {
    const result = run({ name: 'small', bytes: 5000, calls: 2, tries: 2 });
    expect(result.bytes).toBeGreaterThanOrEqual(5000);
    expect(result.bytes).toBeLessThan(5600);
    expect(result.disks).toBeGreaterThan(3);
    expect(result.fastXmlParserDisks).toBe(result.disks);
  });

  it('reads domains without a warning', () => {
    expect(parseDomain(document(20_000))).toMatchObject({ ok: true, value: { warnings: [] } });
  });

  it('prints a table, and says what it does not know', () => {
    const write = jest.spyOn(process.stdout, 'write').mockReturnValue(true);
    const complain = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(main([], [{ name: 'xml 3 KB', bytes: 3000, calls: 1, tries: 1 }])).toBe(0);
    expect(String(write.mock.calls.at(-1)?.[0])).toMatch(/fast-xml-parser ms[^]*xml 3 KB/);
    expect(main(['--only', 'buddy'])).toBe(2);
    expect(String(complain.mock.calls.at(-1)?.[0])).toContain("--only is 'buddy'");
    write.mockRestore();
    complain.mockRestore();
  });
});
