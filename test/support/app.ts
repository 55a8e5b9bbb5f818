import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { DataSource } from 'typeorm';
import { createApp } from '../../apps/api/src/app.factory';
import { DatabaseSettings, Settings } from '../../apps/api/src/config/settings';
import { Client } from './client';

export interface TestDatabase {
  database: DatabaseSettings;
  drop: () => Promise<void>;
}

export interface TestApp {
  app: NestExpressApplication;
  /** For supertest. */
  server: ReturnType<NestExpressApplication['getHttpServer']>;
  settings: Settings;
  /** Closes the app and removes its database. */
  close: () => Promise<void>;
}

export type DatabaseKind = DatabaseSettings['kind'];

/** A PostgreSQL to test on, as postgres://USER@HOST:PORT/DATABASE; each test makes a database of its own there. */
export const postgresUrl: string | undefined = process.env.TEST_POSTGRES_URL;

/**
 * The databases to run a suite on. Says so when PostgreSQL is left out.
 * @example describe.each(databaseKinds('jobs'))('jobs on %s', (kind) => ...)
 */
export function databaseKinds(suite: string): DatabaseKind[] {
  if (postgresUrl !== undefined && postgresUrl !== '') return ['sqlite', 'postgres'];
  process.stdout.write(`${suite}: PostgreSQL skipped, TEST_POSTGRES_URL is not set\n`);
  return ['sqlite'];
}

export async function createTestDatabase(kind: DatabaseKind = 'sqlite'): Promise<TestDatabase> {
  return kind === 'sqlite' ? sqliteFile() : postgresDatabase();
}

function sqliteFile(): TestDatabase {
  const folder = mkdtempSync(join(tmpdir(), 'zonewise-test-'));
  return {
    database: { kind: 'sqlite', path: join(folder, 'test.sqlite') },
    drop: () => Promise.resolve(rmSync(folder, { recursive: true, force: true })),
  };
}

async function postgresDatabase(): Promise<TestDatabase> {
  if (postgresUrl === undefined) throw new Error('TEST_POSTGRES_URL is not set.');
  const name = `zonewise_test_${randomUUID().replaceAll('-', '')}`;
  await administer(postgresUrl, `CREATE DATABASE "${name}"`);
  const url = new URL(postgresUrl);
  url.pathname = `/${name}`;
  const drop = () => administer(postgresUrl ?? '', `DROP DATABASE "${name}" WITH (FORCE)`);
  return { database: { kind: 'postgres', url: url.href, poolSize: 4 }, drop };
}

async function administer(url: string, statement: string): Promise<void> {
  const server = await new DataSource({ type: 'postgres', url }).initialize();
  try {
    await server.query(statement);
  } finally {
    await server.destroy();
  }
}

/** Another process's service on the database of the first. */
export async function createSecondApp({ settings }: TestApp): Promise<NestExpressApplication> {
  return createApp(settings);
}

export interface TestAppOptions {
  kind?: DatabaseKind;
  settings?: Partial<Settings>;
}

/** The whole service on a database of its own, quiet, not listening (supertest does). */
export async function createTestApp({ kind, settings }: TestAppOptions = {}): Promise<TestApp> {
  const { database, drop } = await createTestDatabase(kind);
  const complete: Settings = {
    host: '127.0.0.1',
    port: 0,
    database,
    logLevel: 'silent',
    bodyLimitBytes: 20 * 1024 * 1024,
    workers: 1,
    ...settings,
  };
  try {
    const app = await createApp(complete);
    const close = async () => {
      await app.close();
      await drop();
    };
    return { app, server: app.getHttpServer(), settings: complete, close };
  } catch (error) {
    await drop();
    throw error;
  }
}

/** The same, listening on a free port, with a client of it. */
export async function serveTestApp(
  options?: TestAppOptions,
): Promise<{ test: TestApp; client: Client }> {
  const test = await createTestApp(options);
  await test.app.listen(0, '127.0.0.1');
  return { test, client: new Client(await test.app.getUrl()) };
}
