/** Bodies that nobody reads: a problem that says how much is read and what makes them smaller. */
import { once } from 'node:events';
import { request as requestOf, type IncomingMessage } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { gate } from '../apps/cli/src/gate/gate';
import { createTestApp, TestApp } from './support/app';
import { Client, example, Json } from './support/client';

const MIB = 1024 * 1024;
const LIMIT = 20 * MIB;
const BLOCK = 64 * 1024;

describe('50 MB', () => {
  let test: TestApp;
  let url: URL;

  beforeAll(async () => {
    test = await createTestApp({ settings: { bodyLimitBytes: LIMIT } });
    await test.app.listen(0, '127.0.0.1');
    url = new URL(await test.app.getUrl());
  });
  afterAll(() => test.close());

  /** Sends until it is answered, as a client that does not wait does, or all of it. */
  async function send(
    path: string,
    body: Buffer,
    headers: Record<string, string | number>,
  ): Promise<{ status?: number; type?: string; body: Json }> {
    const upload = requestOf({
      ...{ host: url.hostname, port: url.port, method: 'POST', path, agent: false },
      headers: { 'content-type': 'application/json', ...headers },
    });
    // What is still on its way when the answer is there finds nobody.
    upload.on('error', () => undefined);
    const answered = once(upload, 'response') as Promise<[IncomingMessage]>;
    let at = 0;
    const more = (): void => {
      while (at < body.length && !upload.destroyed) {
        const block = body.subarray(at, at + BLOCK);
        at += block.length;
        if (!upload.write(block)) {
          upload.once('drain', more);
          return;
        }
      }
      if (at >= body.length) upload.end();
    };
    more();
    const [response] = await answered;
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
    upload.destroy();
    const { statusCode: status, headers: told } = response;
    return { status, type: told['content-type'], body: JSON.parse(text) };
  }

  const xml = example('web1.xml');
  const guests = Array.from({ length: Math.ceil((50 * MIB) / xml.length) }, () => ({ xml }));
  const plan = Buffer.from(JSON.stringify({ hosts: [{ name: 'kvm1' }], guests }));
  const packed = gzipSync(plan);
  const alike =
    'give guests that are alike as a flavour with a count, and hosts that are stored by their hostId';

  it.each([
    ['/v1/packing-plans/check', alike],
    ['/v1/placements', alike],
    ['/v1/hosts/import', 'send the archive of the collector packed (gzip, xz, bzip2 or zstd)'],
    ['/v1/hosts', 'send less'],
  ])('for %s', async (path, advice) => {
    expect(plan.length).toBeGreaterThan(50 * MIB);
    expect(packed.length).toBeLessThan(LIMIT);
    const problem = (found: string) => ({
      status: 413,
      type: expect.stringMatching(/^application\/problem\+json/),
      body: {
        ...{ type: 'urn:zonewise:problem:body-too-large', code: 'body-too-large', status: 413 },
        ...{ title: 'The body is larger than the limit', instance: path },
        detail: `The body has ${found} bytes; at most ${LIMIT} are read: ${advice}, or raise BODY_LIMIT of the service.`,
      },
    });
    const length = String(plan.length);
    expect(await send(path, plan, { 'content-length': length })).toEqual(problem(length));
    const more = `more than ${LIMIT}`;
    expect(await send(path, plan, { 'transfer-encoding': 'chunked' })).toEqual(problem(more));
    const small = { 'content-length': packed.length, 'content-encoding': 'gzip' };
    expect(await send(path, packed, small)).toEqual(problem(more));
    // The service goes on.
    expect((await new Client(url.origin).get('/health/ready')).status).toBe(200);
  });

  it('of files of a plan: zonewise gate --server says the same and cannot judge', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'zonewise-'));
    let said = '';
    const write = jest.spyOn(process.stderr, 'write').mockImplementation((part) => {
      said += String(part);
      return true;
    });
    try {
      // A comment is part of the document; each is below the 16 MiB that are read of a file.
      const names = ['a', 'b', 'c', 'd'];
      for (const name of names) {
        const long = xml.replace('<name>web1<', `<!--${'x'.repeat(13 * MIB)}--><name>${name}<`);
        writeFileSync(join(folder, `${name}.xml`), long);
      }
      const version = '6.1.0';
      const hosts = [{ name: 'kvm1', texts: { version, numactlHardware: 'none' } }];
      const path = join(folder, 'plan.json');
      const files = names.map((name) => ({ xml: `${name}.xml` }));
      writeFileSync(path, JSON.stringify({ hosts, guests: files }));
      expect(await gate([path], { server: url.origin })).toBe(1);
    } finally {
      write.mockRestore();
      rmSync(folder, { recursive: true });
    }
    expect(said).toMatch(
      /plan\.json.*: The body has \d+ bytes; at most 20971520 are read: .*flavour.*\[body-too-large\]\n$/,
    );
  });
});
