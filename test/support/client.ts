import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { exampleTexts } from '../../apps/api/src/docs/examples';

const EXAMPLES = join(__dirname, '../../examples');

export const example = (path: string): string => readFileSync(join(EXAMPLES, path), 'utf8');

/** Whatever the service answered; a test says what it expects of it. */
export type Json = ReturnType<typeof JSON.parse>;

export interface Answer {
  status: number;
  headers: Headers;
  body: Json;
  text: string;
}

/** An HTTP client of a listening service, in this process or another. */
export class Client {
  constructor(readonly address: string) {}

  async send(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const isForm = body instanceof FormData;
    const json = { 'content-type': 'application/json' };
    const response = await fetch(this.address + path, {
      method,
      headers: { ...(body === undefined || isForm ? {} : json), ...headers },
      body: body === undefined || isForm || typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    const parsed: unknown = isJson && text !== '' ? JSON.parse(text) : undefined;
    return { status: response.status, headers: response.headers, body: parsed, text };
  }

  get(path: string, headers?: Record<string, string>): Promise<Answer> {
    return this.send('GET', path, undefined, headers);
  }

  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer> {
    return this.send('POST', path, body, headers);
  }

  /** Stores the recorded host and returns its id. */
  async storeHost(name: string): Promise<string> {
    const answer = await this.post('/v1/hosts/import', { name, ...exampleTexts() });
    if (answer.status !== 201) throw new Error(`import: ${answer.status} ${answer.text}`);
    return answer.body.id as string;
  }

  async storeDomain(hostId: string, name: string): Promise<void> {
    const answer = await this.send(
      'PUT',
      `/v1/hosts/${hostId}/domains/${name}`,
      example(`${name}.xml`),
      { 'content-type': 'application/xml' },
    );
    if (answer.status !== 201) throw new Error(`${name}: ${answer.status} ${answer.text}`);
  }

  /** Stores the running db1 with its recorded residency. */
  async storeRunning(hostId: string): Promise<void> {
    const form = new FormData();
    form.append('xml', new Blob([example('db1.xml')]), 'db1.xml');
    form.append('numaMaps', new Blob([example('host/guest.db1.numa_maps')]), 'numa_maps');
    form.append('smapsRollup', new Blob([example('host/guest.db1.smaps_rollup')]), 'smaps_rollup');
    const path = `/v1/hosts/${hostId}/domains/db1?state=running`;
    const answer = await this.send('PUT', path, form);
    if (answer.status !== 201) throw new Error(`db1: ${answer.status} ${answer.text}`);
  }

  /** The recorded host with db1 running and web1, web2 and job1 planned. */
  async storeExample(name: string): Promise<string> {
    const hostId = await this.storeHost(name);
    await this.storeRunning(hostId);
    for (const domain of ['web1', 'web2', 'job1']) await this.storeDomain(hostId, domain);
    return hostId;
  }

  /** A job's server-sent events until the stream ends. */
  async *events(
    jobId: string,
    signal?: AbortSignal,
  ): AsyncGenerator<{ event: string; data: Json }> {
    const response = await fetch(`${this.address}/v1/jobs/${jobId}/events`, { signal });
    if (!response.ok || response.body === null) throw new Error(`events: ${response.status}`);
    let rest = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      rest += decoder.decode(chunk as Uint8Array, { stream: true });
      const blocks = rest.split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const match = /^event: (\w+)\ndata: (.*)$/s.exec(block);
        if (match) yield { event: match[1] ?? '', data: JSON.parse(match[2] ?? '') as unknown };
      }
    }
  }

  /** Follows a job to its end. */
  async finish(jobId: string): Promise<Json> {
    for await (const { event } of this.events(jobId)) void event;
    return (await this.get(`/v1/jobs/${jobId}`)).body;
  }

  /** Follows a job until it runs. */
  async untilRunning(jobId: string): Promise<void> {
    for await (const { event, data } of this.events(jobId)) {
      if (event === 'state' && data.state === 'running') return;
    }
    throw new Error('the job ended before it was seen running');
  }
}
