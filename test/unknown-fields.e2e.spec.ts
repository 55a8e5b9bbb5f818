import request from 'supertest';
import { createTestApp, TestApp } from './support/app';
import { domainXml, recordedBody } from './support/facts';

interface Schema {
  $ref?: string;
  allOf?: Schema[];
  properties?: Record<string, Schema>;
  items?: Schema;
  additionalProperties?: Schema | boolean;
}

interface Operation {
  parameters?: { in: string; name: string }[];
  requestBody?: { content: Record<string, { schema: Schema; examples?: Examples }> };
}

type Examples = Record<string, { value: unknown }>;

/** A body with one object in which every field is misspelt; where that is; and the fields that were meant. */
interface Slip {
  body: unknown;
  path: string;
  meant: string[];
}

/** No field of any request begins with a doubled letter, so the slip is nearest to the field itself. */
const misspelt = (name: string): string => name.charAt(0) + name;

describe('a misspelt field', () => {
  let testApp: TestApp;
  let schemas: Record<string, Schema>;
  let operations: { method: string; path: string; operation: Operation }[];

  beforeAll(async () => {
    testApp = await createTestApp();
    const { body } = await request(testApp.server).get('/openapi.json').expect(200);
    schemas = body.components.schemas;
    const paths = Object.entries(body.paths as Record<string, Record<string, Operation>>);
    operations = paths.flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => ({ method, path, operation })),
    );
  });
  afterAll(() => testApp.close());

  /** Whatever is wrong with a body or a query is said before anybody looks for what the address names. */
  const send = (method: string, path: string) => {
    const address = path.replace(/\{(\w+)\}/g, (_whole, name: string) =>
      name.endsWith('Id') ? '11111111-2222-4333-8444-555555555555' : '1',
    );
    const http = request(testApp.server);
    return http[method as 'post' | 'put' | 'patch' | 'get' | 'delete'](address);
  };

  const resolved = (schema: Schema): Schema => {
    const { $ref, allOf } = schema;
    if ($ref !== undefined) {
      const named = schemas[$ref.replace('#/components/schemas/', '')];
      if (named === undefined) throw new Error(`The document refers to ${$ref}, which it lacks.`);
      return resolved(named);
    }
    const [only] = allOf ?? [];
    return only === undefined ? schema : resolved(only);
  };

  /** A slip in each object that a schema describes, however deep. */
  function slipsOf(given: Schema): Slip[] {
    const { properties = {}, items, additionalProperties } = resolved(given);
    const meant = Object.keys(properties);
    const wrong = Object.fromEntries(meant.map((name) => [misspelt(name), 1]));
    const own = meant.length === 0 ? [] : [{ body: wrong, path: '', meant }];
    const below = (schema: Schema, path: string, wrap: (body: unknown) => unknown): Slip[] =>
      slipsOf(schema).map((slip) => ({ ...slip, body: wrap(slip.body), path: path + slip.path }));
    const nested = Object.entries(properties).flatMap(([name, schema]) =>
      below(schema, `.${name}`, (body) => ({ [name]: body })),
    );
    const entries = items === undefined ? [] : below(items, '[1]', (body) => [{}, body]);
    const named =
      typeof additionalProperties === 'object'
        ? below(additionalProperties, '.web1', (body) => ({ web1: body }))
        : [];
    return [...own, ...nested, ...entries, ...named];
  }

  const bodies = () =>
    operations.flatMap(({ method, path, operation }) => {
      const content = operation.requestBody?.content['application/json'];
      return content === undefined ? [] : [{ method, path, content }];
    });

  it('is named with its path and the field that was meant, in every object of every body', async () => {
    const seen = new Set<string>();
    for (const { method, path, content } of bodies()) {
      for (const { body, path: place, meant } of slipsOf(content.schema)) {
        const answer = await send(method, path).send(body as object);
        const where = `${method} ${path} ${place}`;
        expect([where, answer.status, answer.body.code]).toEqual([where, 400, 'validation-failed']);
        const named = (answer.body.errors as { code: string; path: string; message: string }[])
          .filter(({ code }) => code === 'unknown-field')
          .map(({ path: at, message }) => [where, `.${at}`, message]);
        expect(named).toEqual(
          meant.map((name) => [
            where,
            `${place}.${misspelt(name)}`,
            `is not a field here: did you mean ${name}?`,
          ]),
        );
        seen.add(where);
      }
    }
    expect([...seen]).toEqual(
      expect.arrayContaining([
        'post /v1/hosts .model.nodes[1].zones[1].lru',
        'post /v1/packing-plans/check .hosts[1].model.nodes[1]',
        'post /v1/hosts/{hostId}/simulations .numatune.web1',
        'post /v1/hosts/{hostId}/simulations .demand.guests.web1',
      ]),
    );
  });

  it('is found in every documented example', async () => {
    const examples = bodies().flatMap(({ method, path, content }) =>
      Object.values(content.examples ?? {}).map(({ value }) => ({ method, path, value })),
    );
    expect(examples.length).toBeGreaterThan(10);
    for (const { method, path, value } of examples) {
      const fields = Object.entries(value as object);
      const [name, content] = fields.at(-1) ?? ['', undefined];
      // An example without a field says that all fields may be left out.
      if (name === '') continue;
      const body = { ...Object.fromEntries(fields.slice(0, -1)), [misspelt(name)]: content };
      const answer = await send(method, path).send(body);
      expect([path, answer.status]).toEqual([path, 400]);
      expect(answer.body.errors).toContainEqual(
        expect.objectContaining({
          code: 'unknown-field',
          path: misspelt(name),
          message: `is not a field here: did you mean ${name}?`,
        }),
      );
    }
  });

  it('is found in every query', async () => {
    let count = 0;
    for (const { method, path, operation } of operations) {
      const queries = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query');
      for (const { name } of queries) {
        const asked = send(method, path).query({ [misspelt(name)]: 'x' });
        const isXml = operation.requestBody?.content['application/xml'] !== undefined;
        const answer = await (isXml
          ? asked.type('application/xml').send(domainXml('1', 512))
          : asked);
        const where = `${method} ${path}?${name}`;
        const error = (answer.body.errors ?? []).find(
          ({ path: named }: { path: string }) => named === misspelt(name),
        );
        expect([where, answer.status, error?.message]).toEqual([
          where,
          400,
          `is not a field here: did you mean ${name}?`,
        ]);
        count += 1;
      }
    }
    expect(count).toBeGreaterThan(5);
  });

  it('is found in the parts that the schema of plan files describes', async () => {
    const check = { flavours: { small: { memroyMib: 512 } }, waivers: [{ ruel: 'ZW004' }] };
    const { body } = await send('post', '/v1/packing-plans/check').send(check).expect(400);
    const named = Object.fromEntries(
      body.errors.map(({ path, message }: { path: string; message: string }) => [path, message]),
    );
    expect(named['flavours.small.memroyMib']).toContain('did you mean memoryMib?');
    expect(named['waivers[0].ruel']).toContain('did you mean rule?');
  });

  it('is listed with what there is where nothing is near, and as the part of a form', async () => {
    const { body } = await send('post', '/v1/diagnoses').send({ colour: 'red' }).expect(400);
    expect(body.detail).toMatch(/^colour: is not a field here: there are .*log/);
    const form = await request(testApp.server)
      .post('/v1/hosts/import')
      .field('name', 'part')
      .field('zoninfo', 'x')
      .expect(400);
    expect(form.body.detail).toBe('zoninfo: is not a field here: did you mean zoneinfo?');
  });

  it('in one of many records of a host model is named by its place', async () => {
    const http = request(testApp.server);
    const imported = await http.post('/v1/hosts/import').send(recordedBody('paged')).expect(201);
    const model = structuredClone(imported.body.model);
    const { pagesets } = model.nodes[0].zones[0];
    pagesets[1] = { ...pagesets[1], hihgPages: 1 };
    const { body } = await http.post('/v1/hosts').send({ name: 'other', model }).expect(400);
    expect(body.errors[0]).toMatchObject({
      code: 'unknown-field',
      path: 'model.nodes[0].zones[0].pagesets[1].hihgPages',
      message: 'is not a field here: did you mean highPages?',
    });
  });
});
