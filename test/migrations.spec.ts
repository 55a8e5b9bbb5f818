import { DataSource } from 'typeorm';
import { dataSourceOptions, openDataSource } from '../apps/api/src/database/data-source';
import { migrations } from '../migrations';
import { createTestDatabase, databaseKinds, TestDatabase } from './support/app';

const TABLES = {
  sqlite: "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
  postgres: "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'",
};

async function tables(dataSource: DataSource): Promise<string[]> {
  const kind = dataSource.options.type === 'sqlite' ? 'sqlite' : 'postgres';
  const rows = await dataSource.query<{ name: string }[]>(TABLES[kind]);
  return rows
    .map(({ name }) => name)
    .filter((name) => name !== 'migrations')
    .sort();
}

describe.each(databaseKinds('migrations'))('migrations on %s', (kind) => {
  let test: TestDatabase;
  let dataSource: DataSource;
  beforeAll(async () => {
    test = await createTestDatabase(kind);
    dataSource = await openDataSource(dataSourceOptions(test.database));
  });
  afterAll(async () => {
    await dataSource.destroy();
    await test.drop();
  });

  it('go up at start, down one by one to nothing, and up again to the same schema', async () => {
    const complete = await tables(dataSource);
    expect(complete).toEqual(expect.arrayContaining(['domains', 'hosts']));
    for (let n = 0; n < migrations.length; n++) await dataSource.undoLastMigration();
    expect(await tables(dataSource)).toEqual([]);
    await dataSource.runMigrations();
    expect(await tables(dataSource)).toEqual(complete);
    expect(await dataSource.runMigrations()).toEqual([]);
  });

  it('let several processes start at once on the same PostgreSQL database, none on an SQLite file in use', async () => {
    const options = dataSourceOptions(test.database);
    if (kind === 'sqlite') {
      await expect(openDataSource(options)).rejects.toThrow(/^DATABASE_URL must name an SQLite/);
      return;
    }
    const others = await Promise.all([openDataSource(options), openDataSource(options)]);
    const schemas = await Promise.all(others.map(tables));
    for (const other of others) await other.destroy();
    expect(schemas[0]).toEqual(schemas[1]);
  });
});

it('SQLite commits to the disk before it answers', async () => {
  const test = await createTestDatabase('sqlite');
  const dataSource = await openDataSource(dataSourceOptions(test.database));
  const pragma = async (name: string): Promise<unknown> => {
    const [row] = await dataSource.query<Record<string, unknown>[]>(`PRAGMA ${name}`);
    return Object.values(row ?? {})[0];
  };
  expect(await pragma('journal_mode')).toBe('wal');
  expect(await pragma('synchronous')).toBe(2);
  expect(await pragma('foreign_keys')).toBe(1);
  expect(await pragma('busy_timeout')).toBe(5000);
  await dataSource.destroy();
  await test.drop();
});
