import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import request from 'supertest';
import { createTestApp, TestApp } from './support/app';

interface Operation {
  summary?: string;
  requestBody?: { content: Record<string, { examples?: Record<string, { value: unknown }> }> };
  responses: Record<string, { content?: Record<string, unknown> }>;
}

const sourceTexts = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))
    .map((file) => readFileSync(join(folder, file), 'utf8'));

describe('the documentation', () => {
  let testApp: TestApp;
  let document: object;
  let paths: Record<string, Record<string, Operation>>;
  beforeAll(async () => {
    testApp = await createTestApp();
    const { body } = await request(testApp.server).get('/openapi.json').expect(200);
    document = body;
    paths = body.paths;
  });
  afterAll(() => testApp.close());
  const http = () => request(testApp.server);

  const examplesOf = (path: string, method: string, mediaType: string): unknown[] => {
    const examples = paths[path]?.[method]?.requestBody?.content[mediaType]?.examples ?? {};
    return Object.values(examples).map(({ value }) => value);
  };

  it('is shown by the console', async () => {
    const page = await http().get('/docs/').expect(200);
    expect(page.text).toContain('Zonewise API');
    const script = await http().get('/docs/swagger-ui-init.js').expect(200);
    expect(script.text).toContain('/v1/hosts/import');
  });

  it('has a summary and an answer for every operation', () => {
    const operations = Object.entries(paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
    );
    expect(operations.length).toBeGreaterThan(15);
    for (const { path, method, operation } of operations) {
      const where = `${method} ${path}`;
      expect([where, operation.summary?.length ?? 0]).not.toEqual([where, 0]);
      const good = Object.keys(operation.responses).filter((status) => status.startsWith('2'));
      expect([where, good.length]).not.toEqual([where, 0]);
    }
  });

  it('has a schema of its own for each class', () => {
    // Nest keeps schemas by class name: of two classes with one name only one would be documented.
    const names = sourceTexts(join(__dirname, '../apps/api/src')).flatMap((text) =>
      [...text.matchAll(/^(?:export )?class (\w+Dto)\b/gm)].map((match) => match[1] ?? ''),
    );
    expect(names.length).toBeGreaterThan(50);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  it('refers to nothing that it lacks', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"(.*?)"/g)].map(
      (match) => match[1] ?? '',
    );
    expect(references.length).toBeGreaterThan(50);
    const missing = references.filter((reference) => {
      const [root, ...keys] = reference.split('/');
      const found = keys.reduce<unknown>(
        (part, key) => (part as Record<string, unknown> | undefined)?.[key],
        document,
      );
      return root !== '#' || found === undefined;
    });
    expect(missing).toEqual([]);
  });

  it('has host examples that work as they stand', async () => {
    const imports = examplesOf('/v1/hosts/import', 'post', 'application/json');
    const creates = examplesOf('/v1/hosts', 'post', 'application/json');
    const inspections = examplesOf('/v1/hosts/inspect', 'post', 'application/json');
    expect([imports.length, creates.length, inspections.length]).toEqual([2, 1, 2]);
    for (const body of imports) {
      await http()
        .post('/v1/hosts/import')
        .send(body as object)
        .expect(201);
    }
    for (const body of creates) {
      await http()
        .post('/v1/hosts')
        .send(body as object)
        .expect(201);
    }
    for (const body of inspections) {
      await http()
        .post('/v1/hosts/inspect')
        .send(body as object)
        .expect(200);
    }
  });

  it('has examples of diagnoses and snapshots that work as they stand', async () => {
    const logs = examplesOf('/v1/diagnoses', 'post', 'application/json');
    const path = '/v1/hosts/{hostId}/snapshots';
    const descriptions = examplesOf(path, 'post', 'application/json');
    expect([logs.length, descriptions.length]).toEqual([1, 2]);
    const { body } = await http().get('/v1/hosts').expect(200);
    const { id: hostId } = body.items[0];
    for (const log of logs as object[]) {
      const { body: plain } = await http().post('/v1/diagnoses').send(log).expect(200);
      expect(plain.items).not.toEqual([]);
      await http()
        .post('/v1/diagnoses')
        .send({ ...log, hostId })
        .expect(200);
    }
    for (const description of descriptions as object[]) {
      const { status, body: answer } = await http()
        .post(`/v1/hosts/${hostId}/snapshots`)
        .send(description);
      // A capabilities document tells sizes: a host as well, with all of it free.
      expect([status, answer.code]).toEqual([201, undefined]);
    }
  });

  it('has changes of a host that work as they stand', async () => {
    const changes = examplesOf('/v1/hosts/{hostId}', 'patch', 'application/json');
    expect(changes).toHaveLength(1);
    const { body } = await http().get('/v1/hosts').expect(200);
    for (const change of changes as { description: string }[]) {
      const { body: host } = await http()
        .patch(`/v1/hosts/${body.items[0].id}`)
        .send(change)
        .expect(200);
      expect(host.description).toBe(change.description);
    }
  });

  it('has domain examples that work as they stand on the example host', async () => {
    const { body } = await http().get('/v1/hosts').expect(200);
    const path = '/v1/hosts/{hostId}/domains/{name}';
    const documents = examplesOf(path, 'put', 'application/xml') as string[];
    expect(documents).toHaveLength(4);
    for (const xml of documents) {
      const name = /<name>(.*?)<\/name>/.exec(xml)?.[1] ?? '';
      const url = `/v1/hosts/${body.items[0].id}/domains/${name}`;
      await http().put(url).type('application/xml').send(xml).expect(201);
      await http().post('/v1/domains/inspect').type('application/xml').send(xml).expect(200);
    }
  });

  it('has examples of advice and of its verification that work as they stand', async () => {
    const { body } = await http().get('/v1/hosts').expect(200);
    const url = `/v1/hosts/${body.items[0].id}/recommendations`;
    const asked = examplesOf('/v1/hosts/{hostId}/recommendations', 'post', 'application/json');
    expect(asked).toHaveLength(4);
    const [first, ...others] = asked;
    const answer = await http()
      .post(url)
      .set('Prefer', 'wait=60')
      .send(first as object)
      .expect(201);
    for (const body of others) {
      const accepted = await http()
        .post(url)
        .send(body as object)
        .expect(202);
      await http().delete(`/v1/jobs/${accepted.body.id}`).expect(200);
    }
    const path = '/v1/recommendations/{recommendationId}/verify';
    const observations = examplesOf(path, 'post', 'application/json');
    expect(observations).toHaveLength(1);
    for (const observation of observations) {
      // db1 was stored as planned here, and it runs by then.
      const verified = await http()
        .post(`/v1/recommendations/${answer.body.id}/verify`)
        .send(observation as object)
        .expect(201);
      expect(verified.body.guests.map(({ name }: { name: string }) => name)).toEqual(['db1']);
    }
  });
});

it('tells whether it lives, is ready, and which version it is', async () => {
  const testApp = await createTestApp();
  const http = request(testApp.server);
  await http.get('/health/live').expect(200, { status: 'ok' });
  const ready = await http.get('/health/ready').expect(200);
  expect(ready.body.info.database.status).toBe('up');
  const { body } = await http.get('/version').expect(200);
  expect(body).toMatchObject({ name: 'zonewise', api: 'v1' });
  await testApp.close();
});
