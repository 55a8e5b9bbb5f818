import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, IncomingMessage, request as requestOf } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { FIELD_CODES, PROBLEM_CODES } from '../apps/api/src/http/problem-codes';
import { createTestApp, TestApp } from './support/app';
import { domainXml, preferred, recordedBody, recordedText } from './support/facts';

const ROOT = join(__dirname, '..');

type Answer = Pick<request.Response, 'body' | 'headers'>;

/** Codes in the first column of the tables of a Markdown file. */
function documentedCodes(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(/^\| `([a-z-]+)`/gm)].map((match) => match[1] ?? '');
}

it('apps/api/errors.md lists exactly the codes that exist', () => {
  const codes = [...Object.keys(PROBLEM_CODES), ...FIELD_CODES].sort();
  expect(documentedCodes('apps/api/errors.md').sort()).toEqual(codes);
});

describe('bad input', () => {
  let testApp: TestApp;
  let hostId: string;
  let model: { nodes: Record<string, unknown>[]; distances: number[][] };
  beforeAll(async () => {
    testApp = await createTestApp({ settings: { bodyLimitBytes: 1024 * 1024 } });
    const { body } = await http().post('/v1/hosts/import').send(recordedBody('host')).expect(201);
    hostId = body.id;
    model = body.model;
  });
  afterAll(() => testApp.close());
  const http = () => request(testApp.server);

  /** Every refusal is a complete problem, and nothing was stored by it. */
  async function refused(test: PromiseLike<Answer>, status: number, code: string) {
    const { body, headers } = await test;
    expect(body).toMatchObject({ status, code, type: `urn:zonewise:problem:${code}` });
    expect(headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(body.title.length).toBeGreaterThan(0);
    expect(body.detail.length).toBeGreaterThan(0);
    expect(body.instance.length).toBeGreaterThan(0);
    expect(JSON.stringify(body)).not.toMatch(/node_modules|SQLITE|at .*\.ts:/);
    const hosts = await http().get('/v1/hosts').expect(200);
    expect(hosts.body.items).toHaveLength(1);
    const domains = await http().get(`/v1/hosts/${hostId}/domains`).expect(200);
    expect(domains.body.items).toEqual([]);
    return body;
  }
  const putXml = (xml: string, name = 'web1') =>
    http().put(`/v1/hosts/${hostId}/domains/${name}`).type('application/xml').send(xml);
  /** Sends the address as it is: a client that follows the URL standard would shorten `%2e%2e`. */
  async function putRaw(address: string, xml: string): Promise<Answer> {
    const server = createServer(testApp.app.getHttpAdapter().getInstance()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const path = `/v1/hosts/${hostId}/domains/${address}`;
    const headers = { 'Content-Type': 'application/xml', Connection: 'close' };
    const sent = requestOf({ port, path, method: 'PUT', headers });
    sent.end(xml);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    let text = '';
    for await (const chunk of response) text += String(chunk);
    server.close();
    return { body: JSON.parse(text), headers: response.headers as Answer['headers'] };
  }
  const changed = (change: (copy: typeof model) => void) => {
    const copy = structuredClone(model);
    change(copy);
    return http().post('/v1/hosts').send({ name: 'changed', model: copy });
  };

  describe('documents', () => {
    it.each<[string, string, number, string]>([
      ['XML that is cut off', domainXml('web1', 512).slice(0, 120), 400, 'malformed-xml'],
      ['text that is no XML', 'hello', 400, 'malformed-xml'],
      [
        'a DOCTYPE',
        `<!DOCTYPE domain [<!ENTITY lol "lol">]>\n<domain><name>&lol;</name></domain>`,
        400,
        'malformed-xml',
      ],
      [
        'an external entity',
        `<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]><domain><name>&x;</name></domain>`,
        400,
        'malformed-xml',
      ],
      ['an undeclared entity', domainXml('&who;', 512), 400, 'malformed-xml'],
      ['another root', '<network><name>web1</name></network>', 422, 'invalid-domain'],
      [
        'an unknown numatune mode',
        domainXml('web1', 512, `<numatune><memory mode='best' nodeset='0'/></numatune>`),
        422,
        'invalid-domain',
      ],
      ['a negative size', domainXml('web1', -512), 422, 'invalid-domain'],
      [
        'a node that the host lacks',
        domainXml('web1', 512, preferred(9)),
        422,
        'unknown-host-node',
      ],
    ])('refuses %s, with line and column', async (_what, xml, status, code) => {
      const body = await refused(putXml(xml), status, code);
      expect(body.line).toBeGreaterThanOrEqual(1);
      expect(body.column).toBeGreaterThanOrEqual(1);
      expect(body.errors[0]).toMatchObject({ line: body.line, column: body.column });
      expect(typeof body.path).toBe('string');
      if (code === 'unknown-host-node') return;
      const inspected = http().post('/v1/domains/inspect').type('application/xml').send(xml);
      await refused(inspected, status, code);
    });

    it('names every wrong place of a document, not only the first', async () => {
      const xml = domainXml('web1', -1, `<numatune><memory mode='best' nodeset='0'/></numatune>`);
      const body = await refused(putXml(xml), 422, 'invalid-domain');
      expect(body.errors.length).toBeGreaterThanOrEqual(2);
      const mode = body.errors.find((error: { path: string }) => error.path.includes('numatune'));
      expect(mode).toMatchObject({ code: 'unknown-numatune-mode', found: 'best', line: 6 });
    });

    it('refuses an empty document', () => refused(putXml(''), 400, 'validation-failed'));
    it('refuses a name that differs from the address', () =>
      refused(putXml(domainXml('web2', 512)), 422, 'name-mismatch'));
    it('refuses a name in the address that could be no name', async () => {
      await refused(putXml(domainXml('web1', 512), '%00'), 422, 'name-mismatch');
      await refused(http().get(`/v1/hosts/${hostId}/domains/%00`), 404, 'domain-not-found');
    });
    it('refuses a name that clients cannot address', async () => {
      for (const [name, address] of [
        ['.', '%2e'],
        ['..', '%2e%2e'],
      ] as const) {
        const sent = putRaw(address, domainXml(name, 512));
        const body = await refused(sent, 422, 'invalid-domain');
        expect(body).toMatchObject({ path: '/domain/name', line: 3 });
      }
    });
    it('refuses bytes that are not UTF-8, and says where', async () => {
      const [before, after] = domainXml('web1', 512).split('web1');
      const xml = Buffer.concat([
        Buffer.from(`${before}we`),
        Buffer.from([0xfc]),
        Buffer.from(`b${after}`),
      ]);
      const send = (type: string) =>
        http().put(`/v1/hosts/${hostId}/domains/web1`).set('Content-Type', type).send(xml);
      const body = await refused(send('application/xml'), 400, 'malformed-xml');
      expect(body.line).toBe(before?.split('\n').length);
      expect(body.column).toBe((before?.split('\n').at(-1)?.length ?? 0) + 3);
      await refused(send('application/xml; charset=iso-8859-1'), 415, 'unsupported-media-type');
    });
    it('refuses an unknown state', () =>
      refused(
        http()
          .put(`/v1/hosts/${hostId}/domains/web1?state=paused`)
          .type('application/xml')
          .send(domainXml('web1', 512)),
        400,
        'validation-failed',
      ));
  });

  describe('host facts', () => {
    const importing = (fields: object) =>
      http()
        .post('/v1/hosts/import')
        .send({ ...recordedBody('facts'), ...fields });

    it('refuses a truncated zoneinfo, with the line', async () => {
      const zoneinfo = recordedText('zoneinfo');
      const cut = zoneinfo.slice(0, zoneinfo.indexOf('spanned') + 3);
      const body = await refused(importing({ zoneinfo: cut }), 422, 'invalid-facts');
      expect(body.path).toBe('zoneinfo');
      expect(body.line).toBeGreaterThan(1);
      expect(body.errors[0].expected).toBeDefined();
    });
    it('refuses a negative size in zoneinfo', async () => {
      const zoneinfo = recordedText('zoneinfo').replace(/managed +\d+/, 'managed  -5');
      const body = await refused(importing({ zoneinfo }), 422, 'invalid-facts');
      expect(body.path).toBe('zoneinfo');
    });
    it('refuses a malformed capabilities document', async () => {
      const body = await refused(
        importing({ capabilities: '<capabilities>' }),
        400,
        'malformed-xml',
      );
      expect(body.line).toBe(1);
    });
    it('refuses null where a text belongs', async () => {
      const body = await refused(importing({ zoneinfo: null }), 400, 'validation-failed');
      expect(body.path).toBe('zoneinfo');
      const patch = (change: object) => http().patch(`/v1/hosts/${hostId}`).send(change);
      await refused(patch({ name: null }), 400, 'validation-failed');
      await refused(patch({ model: null }), 400, 'validation-failed');
    });
    it('takes a description of null for none, as it answers it', async () => {
      const patch = (description: string | null) =>
        http().patch(`/v1/hosts/${hostId}`).send({ description }).expect(200);
      expect((await patch('Rack 4')).body.description).toBe('Rack 4');
      expect((await patch(null)).body.description).toBeNull();
    });
    it('refuses parts whose names mean the object itself', async () => {
      for (const name of ['__proto__', 'toString', '__proto__[x]', 'prototype']) {
        const parts = http().post('/v1/hosts/import').field('name', 'parts').field(name, 'x');
        await refused(parts, 400, 'malformed-multipart');
      }
      const list = http()
        .post('/v1/hosts/import')
        .field('name', 'list')
        .field('zoneinfo[length]', 'x');
      await refused(list, 400, 'validation-failed');
    });
    it('refuses texts that are not UTF-8', async () => {
      const bytes = Buffer.from('{"name":"\xfc"}', 'latin1');
      const json = http().post('/v1/hosts/import').type('application/json');
      json.write(bytes);
      await refused(json, 400, 'malformed-json');
      const part = http()
        .post('/v1/hosts/import')
        .attach('zoneinfo', bytes, { filename: 'zoneinfo' });
      await refused(part, 400, 'malformed-multipart');
    });
    it('refuses a host of which nothing is told', () =>
      refused(http().post('/v1/hosts/import').send({ name: 'empty' }), 422, 'invalid-facts'));
    it('refuses a field that it does not know', async () => {
      const body = await refused(importing({ zoninfo: 'x' }), 400, 'validation-failed');
      expect(body.errors).toEqual([
        expect.objectContaining({ code: 'unknown-field', path: 'zoninfo' }),
      ]);
    });
    it('refuses a part that comes twice, and one that it does not know', async () => {
      const twice = http()
        .post('/v1/hosts/import')
        .field('name', 'twice')
        .attach('zoneinfo', Buffer.from('a'), { filename: 'a' })
        .attach('zoneinfo', Buffer.from('b'), { filename: 'b' });
      await refused(twice, 400, 'malformed-multipart');
      const unknown = http()
        .post('/v1/hosts/import')
        .field('name', 'unknown')
        .attach('zonefile', Buffer.from('a'), { filename: 'a' });
      await refused(unknown, 400, 'validation-failed');
    });
    it('refuses a multipart body that breaks off', () =>
      refused(
        http()
          .post('/v1/hosts/import')
          .set('Content-Type', 'multipart/form-data; boundary=x')
          .send('--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nbroken'),
        400,
        'malformed-multipart',
      ));
  });

  describe('canonical hosts', () => {
    it('refuses a negative size', async () => {
      const test = changed((copy) => (copy.nodes[0] = { ...copy.nodes[0], filePages: -1 }));
      const body = await refused(test, 400, 'validation-failed');
      expect(body.errors[0]).toMatchObject({
        code: 'invalid-field',
        path: 'model.nodes[0].filePages',
        found: '-1',
      });
    });
    it.each<[string, (copy: typeof model) => unknown]>([
      ['a node that is a list', (copy) => Object.assign(copy, { nodes: [[]] })],
      ['nodes that are no list', (copy) => Object.assign(copy, { nodes: {} })],
      ['a null node', (copy) => Object.assign(copy, { nodes: [null] })],
      ['text for distances', (copy) => Object.assign(copy, { distances: [['near']] })],
      ['an unknown field', (copy) => Object.assign(copy, { colour: 'red' })],
      ['a list for sysctl', (copy) => Object.assign(copy, { sysctl: [] })],
    ])('refuses %s', async (_what, change) => {
      const body = await refused(
        changed((copy) => void change(copy)),
        400,
        'validation-failed',
      );
      expect(body.path).toMatch(/^model\./);
    });
    it('refuses a model that contradicts itself', async () => {
      const test = changed((copy) => (copy.distances = [[10]]));
      const body = await refused(test, 422, 'invalid-host-model');
      expect(body.errors[0].path).toMatch(/^model/);
    });
    it('refuses a name that could be no name', () =>
      refused(http().post('/v1/hosts').send({ name: '../x', model }), 400, 'validation-failed'));
  });

  describe('requests', () => {
    const importUrl = '/v1/hosts/import';
    it('refuses malformed JSON', () =>
      refused(
        http().post(importUrl).type('application/json').send('{"name": '),
        400,
        'malformed-json',
      ));
    it('refuses JSON that nests too deep', () =>
      refused(
        http()
          .post(importUrl)
          .type('application/json')
          .send(`{"name":${'['.repeat(100000)}`),
        400,
        'malformed-json',
      ));
    it('refuses a body over the limit, whatever its type', async () => {
      const large = 'x'.repeat(1100000);
      await refused(
        http().post(importUrl).send({ name: 'large', zoneinfo: large }),
        413,
        'body-too-large',
      );
      await refused(putXml(domainXml('web1', 512, `<!--${large}-->`)), 413, 'body-too-large');
      await refused(
        http().post(importUrl).attach('zoneinfo', Buffer.from(large), { filename: 'z' }),
        413,
        'body-too-large',
      );
    });
    it('stops taking a document of 200 MB at the limit', async () => {
      const server = createServer(testApp.app.getHttpAdapter().getInstance()).listen(
        0,
        '127.0.0.1',
      );
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const upload = requestOf({
        ...{ port, method: 'POST', path: '/v1/domains/inspect' },
        headers: { 'content-type': 'application/xml', 'transfer-encoding': 'chunked' },
      });
      const answered = once(upload, 'response') as Promise<[IncomingMessage]>;
      const block = Buffer.alloc(1024 * 1024, '<a>');
      let sent = 0;
      upload.on('error', () => undefined);
      const send = (): void => {
        while (sent < 200 && !upload.destroyed) {
          sent += 1;
          if (!upload.write(block)) {
            upload.once('drain', send);
            return;
          }
        }
      };
      send();
      const [response] = await answered;
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
      upload.destroy();
      server.closeAllConnections();
      server.close();
      expect(response.statusCode).toBe(413);
      expect(JSON.parse(text)).toMatchObject({ code: 'body-too-large' });
      // What was sent beyond the limit of 1 MiB waits in the buffers of the two sockets.
      expect(sent).toBeLessThan(100);
    });
    it('refuses a type that the address does not read', async () => {
      await refused(
        http().post(importUrl).type('text/plain').send('x'),
        415,
        'unsupported-media-type',
      );
      await refused(
        http().put(`/v1/hosts/${hostId}/domains/web1`).send({ xml: '' }),
        415,
        'unsupported-media-type',
      );
      await refused(
        http().post('/v1/hosts').type('application/xml').send('<host/>'),
        415,
        'unsupported-media-type',
      );
      await refused(
        http().post(importUrl).set('Content-Type', 'application/json; charset=utf-77').send('{}'),
        415,
        'unsupported-media-type',
      );
    });
    it('answers 404 to ids and addresses that do not exist', async () => {
      const id = '11111111-2222-4333-8444-555555555555';
      await refused(http().get(`/v1/hosts/${id}`), 404, 'host-not-found');
      await refused(http().get('/v1/hosts/no-uuid'), 404, 'host-not-found');
      await refused(http().get('/v1/hosts/%00'), 404, 'host-not-found');
      await refused(http().delete(`/v1/hosts/${id}`), 404, 'host-not-found');
      await refused(http().get(`/v1/hosts/${id}/domains`), 404, 'host-not-found');
      await refused(http().get(`/v1/hosts/${hostId}/domains/x`), 404, 'domain-not-found');
      await refused(http().get('/v2/hosts'), 404, 'route-not-found');
      await refused(http().put('/v1/hosts'), 404, 'route-not-found');
    });
    it('refuses an address that cannot be decoded', () =>
      refused(http().get('/v1/hosts/%E0%A4%A'), 400, 'malformed-request'));
    it('refuses a stale ETag', () =>
      refused(
        http().patch(`/v1/hosts/${hostId}`).set('If-Match', '"7"').send({ description: 'x' }),
        412,
        'stale-etag',
      ));
    it('refuses wrong paging', async () => {
      await refused(http().get('/v1/hosts?limit=0'), 400, 'validation-failed');
      await refused(http().get('/v1/hosts?limit=101'), 400, 'validation-failed');
      await refused(http().get('/v1/hosts?cursor=nonsense'), 400, 'invalid-cursor');
      await refused(http().get('/v1/hosts?colour=red'), 400, 'validation-failed');
    });
  });

  it('says nothing of its inside when something fails unexpectedly', async () => {
    const broken = await createTestApp();
    const dataSource = broken.app.get(DataSource);
    await dataSource.destroy();
    const { body } = await request(broken.server).get('/v1/hosts').expect(500);
    expect(body).toMatchObject({ code: 'internal-error', status: 500 });
    expect(JSON.stringify(body)).not.toMatch(/sqlite|typeorm|connection/i);
    const ready = await request(broken.server).get('/health/ready').expect(503);
    expect(ready.body.code).toBe('not-ready');
    await request(broken.server).get('/health/live').expect(200);
    await dataSource.initialize();
    await broken.close();
  });
});
