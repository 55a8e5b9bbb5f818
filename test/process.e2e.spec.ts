import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { createTestDatabase, TestDatabase } from './support/app';
import { Client } from './support/client';
import { addressOf, startProcess } from './support/service-process';

const start = (env: Record<string, string>, command?: string[]): ChildProcess =>
  startProcess(env, { command, stderr: 'pipe' });

async function textOf(stream: ChildProcess['stderr']): Promise<string> {
  let text = '';
  for await (const chunk of stream ?? []) text += String(chunk);
  return text;
}

describe('the process', () => {
  let test: TestDatabase;
  beforeEach(async () => {
    test = await createTestDatabase('sqlite');
  });
  afterEach(() => test.drop());
  const sqliteUrl = () => (test.database.kind === 'sqlite' ? `sqlite:${test.database.path}` : '');

  it('announces its address whatever the log level, serves, and ends in peace on SIGTERM', async () => {
    const child = start({ DATABASE_URL: sqliteUrl(), PORT: '0', LOG_LEVEL: 'silent' });
    const exited = once(child, 'exit');
    const address = await addressOf(child);
    expect(address).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    const answer = await fetch(`${address}/health/ready`);
    expect(answer.status).toBe(200);
    // Proxies and client pools drop an idle connection after a minute: the service must not be the first.
    const seconds = /timeout=(\d+)/.exec(answer.headers.get('keep-alive') ?? '')?.[1];
    expect(Number(seconds)).toBeGreaterThan(60);
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  });

  it('is what zonewise serve starts, with its options before the environment', async () => {
    const options = ['--host', '127.0.0.1', '--port', '0', '--database', sqliteUrl()];
    const child = start({ PORT: '99999' }, ['apps/cli/src/main.ts', 'serve', ...options]);
    const exited = once(child, 'exit');
    const answer = await fetch(`${await addressOf(child)}/health/ready`);
    expect([answer.status, await answer.json()]).toMatchObject([200, { status: 'ok' }]);
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
    expect(existsSync(sqliteUrl().slice('sqlite:'.length))).toBe(true);
  });

  it('says what is right and exits 1 when a setting is wrong, before it touches the database', async () => {
    const child = start({ DATABASE_URL: sqliteUrl(), PORT: '99999', LOG_LEVEL: 'loud' });
    const [message, exit] = await Promise.all([textOf(child.stderr), once(child, 'exit')]);
    expect(exit).toEqual([1, null]);
    expect(message).toContain(
      'zonewise: PORT must be a whole number from 0 (a free port) to 65535; found "99999"',
    );
    expect(message).toContain('zonewise: LOG_LEVEL must be one of');
    expect(existsSync(sqliteUrl().slice('sqlite:'.length))).toBe(false);
  });

  it('leaves an SQLite file to the process that serves it, and takes it over when that is killed', async () => {
    const env = { DATABASE_URL: sqliteUrl(), PORT: '0', LOG_LEVEL: 'silent' };
    const first = start(env);
    const killed = once(first, 'exit');
    const host = new Client(await addressOf(first));
    const hostId = await host.storeHost('kept');

    const link = join(dirname(sqliteUrl().slice('sqlite:'.length)), 'link.sqlite');
    symlinkSync(sqliteUrl().slice('sqlite:'.length), link);
    const second = start({ ...env, DATABASE_URL: `sqlite:${link}` });
    const [message, exit] = await Promise.all([textOf(second.stderr), once(second, 'exit')]);
    expect(exit).toEqual([1, null]);
    expect(message).toMatch(
      /^zonewise: DATABASE_URL must name an SQLite file that no other process serves/m,
    );
    expect(message).toContain(
      `found "sqlite:${link}", which is served by process ${first.pid} on ${hostname()}`,
    );
    expect((await host.get(`/v1/hosts/${hostId}`)).status).toBe(200);

    first.kill('SIGKILL');
    await killed;
    const third = start(env);
    const ended = once(third, 'exit');
    const heir = new Client(await addressOf(third));
    expect((await heir.get(`/v1/hosts/${hostId}`)).body.name).toBe('kept');
    third.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });

  it('says why and exits 1 when the database cannot be opened', async () => {
    writeFileSync(
      sqliteUrl().slice('sqlite:'.length),
      'This is a text and no database at all. '.repeat(99),
    );
    const child = start({ DATABASE_URL: sqliteUrl(), PORT: '0' });
    const [message, exit] = await Promise.all([textOf(child.stderr), once(child, 'exit')]);
    expect(exit).toEqual([1, null]);
    expect(message).toMatch(/^zonewise: cannot start: .*not a database/m);
  });
});
