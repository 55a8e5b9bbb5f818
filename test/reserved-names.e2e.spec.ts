/** Fields and guests with the names that every JavaScript object has. */
import { serveTestApp, TestApp } from './support/app';
import { Answer, Client, example, Json } from './support/client';

const NAMES = [...Object.getOwnPropertyNames(Object.prototype), 'prototype'];
const WAIT = { prefer: 'wait=60' };

// Four recommendations are replayed.
jest.setTimeout(120_000);

describe('a name that every object has', () => {
  let test: TestApp;
  let client: Client;
  let hostId: string;

  beforeAll(async () => {
    ({ test, client } = await serveTestApp());
    hostId = await client.storeExample('named');
  });
  afterAll(() => test.close());

  const refused = ({ status, headers, body }: Answer, path: string): void => {
    expect(headers.get('content-type')).toContain('application/problem+json');
    expect([status, body.code, body.path]).toEqual([400, 'validation-failed', path]);
    expect(body.errors[0]).toMatchObject({ code: 'unknown-field', path });
    expect(body.detail).toBe(`${path}: is not read as a field or a name here.`);
  };

  it.each(NAMES)('is no field of a body, however deep, nor of a query: %s', async (name) => {
    const host = `/v1/hosts/${hostId}`;
    const nobody = '00000000-0000-4000-8000-000000000000';
    const field = `"${name}":{"mode":"strict","nodeset":[0]}`;
    for (const [method, path, body, place] of [
      ['POST', `${host}/simulations`, `{${field}}`, name],
      ['POST', `${host}/simulations`, `{"sysctl":{${field}}}`, `sysctl.${name}`],
      ['POST', `${host}/simulations`, `{"numatune":{${field}}}`, `numatune.${name}`],
      ['POST', `${host}/recommendations`, `{"options":{${field}}}`, `options.${name}`],
      ['POST', '/v1/packing-plans/check', `{"hosts":[{},{${field}}]}`, `hosts[1].${name}`],
      ['POST', '/v1/placements', `{${field}}`, name],
      ['POST', '/v1/diagnoses', `{${field}}`, name],
      ['POST', '/v1/hosts', `{${field}}`, name],
      ['POST', '/v1/hosts/import', `{"nodeMeminfo":{"${name}":"x"}}`, `nodeMeminfo.${name}`],
      ['POST', `/v1/recommendations/${nobody}/verify`, `{"guests":{${field}}}`, `guests.${name}`],
      [
        'PATCH',
        `/v1/recommendations/${nobody}`,
        `{"stateMetadata":{${field}}}`,
        `stateMetadata.${name}`,
      ],
      ['PATCH', host, `{${field}}`, name],
    ] as const) {
      refused(await client.send(method, path, body), place);
    }
    refused(await client.get(`/v1/jobs?${name}=1`), name);
  });

  it('is refused in whatever way it is written', async () => {
    const post = (body: string) => client.post(`/v1/hosts/${hostId}/simulations`, body);
    refused(await post('{"\\u005f_proto__":{}}'), '__proto__');
    refused(await post('{"const\\u0072uctor" : 1}'), 'constructor');
    const several = (await post('{"toString":1,"sysctl":{"valueOf":1,"__proto__":1}}')).body;
    expect(several.errors.map((error: Json) => error.path)).toEqual([
      ...['toString', 'sysctl.valueOf', 'sysctl.__proto__'],
    ]);
    const many = JSON.stringify({ domains: Array.from({ length: 1000 }, () => ({ valueOf: 1 })) });
    expect((await post(many)).body.errors).toHaveLength(100);
  });

  it('may be a value', async () => {
    const named = await client.post(`/v1/hosts/${hostId}/simulations`, { domains: ['toString'] });
    expect([named.status, named.body.code]).toEqual([404, 'domain-not-found']);
    const description = '"constructor":';
    const quoted = await client.send('PATCH', `/v1/hosts/${hostId}`, { description });
    expect(quoted.body.description).toBe(description);
  });

  it('may be the name of a guest, of which advice says what it says of any other', async () => {
    const advised = async (name: string): Promise<Json> => {
      const path = `/v1/hosts/${hostId}/domains/${name}`;
      const xml = example('web1.xml').replace('<name>web1</name>', `<name>${name}</name>`);
      const stored = await client.send('PUT', path, xml, { 'content-type': 'application/xml' });
      expect(stored.status).toBe(201);
      const body = { domains: [name] };
      const answer = await client.post(`/v1/hosts/${hostId}/recommendations`, body, WAIT);
      expect(answer.status).toBe(201);
      await client.send('DELETE', path);
      const { content, evidence, primaryImpact } = answer.body;
      const { baseline, advised: best, alternatives } = evidence;
      const shown = JSON.stringify({ content, primaryImpact, baseline, best, alternatives });
      // The guests' names are part of a replay's state.
      return JSON.parse(
        shown.replaceAll(name, 'guest').replaceAll(/"stateHash":"\w+"/g, '"stateHash":""'),
      );
    };
    const plain = await advised('plain');
    for (const name of ['__proto__', 'toString', 'constructor']) {
      expect(await advised(name)).toEqual(plain);
    }
  });
});
