import { DataSource, DataSourceOptions } from 'typeorm';
import { migrations } from '../../../../migrations';
import type { DatabaseSettings } from '../config/settings';
import { lockPathOf, SqliteLock } from './sqlite-lock';

/** How long a statement waits for another process that writes to the same SQLite file. */
const BUSY_MS = 5000;

/**
 * TypeORM's options for either database. The driver's name stands in this file alone.
 * Migrations are run by {@link openDataSource}, after the connection has its durability settings.
 */
export function dataSourceOptions(
  database: DatabaseSettings,
  entities: NonNullable<DataSourceOptions['entities']> = [],
): DataSourceOptions {
  const common = { entities, migrations, migrationsRun: false, synchronize: false };
  if (database.kind === 'sqlite') {
    return {
      ...common,
      type: 'sqlite',
      database: database.path,
      enableWAL: database.path !== ':memory:',
      busyTimeout: BUSY_MS,
    };
  }
  return {
    ...common,
    type: 'postgres',
    url: database.url,
    applicationName: 'zonewise',
    poolSize: database.poolSize ?? 10,
  };
}

/** A connection to an SQLite file that no other process has at the same time. */
class LockedDataSource extends DataSource {
  private readonly lock: SqliteLock;

  constructor(options: DataSourceOptions, file: string) {
    super(options);
    const lockFile = new DataSource({
      type: 'sqlite',
      database: lockPathOf(file),
      busyTimeout: BUSY_MS,
    });
    this.lock = new SqliteLock(lockFile, file);
  }

  override async initialize(): Promise<this> {
    await this.lock.take();
    try {
      return await super.initialize();
    } catch (error) {
      await this.lock.release();
      throw error;
    }
  }

  override async destroy(): Promise<void> {
    try {
      await super.destroy();
    } finally {
      await this.lock.release();
    }
  }
}

function dataSourceOf(options: DataSourceOptions): DataSource {
  return options.type === 'sqlite' && options.database !== ':memory:'
    ? new LockedDataSource(options, options.database)
    : new DataSource(options);
}

/**
 * Connects and brings the schema up to date. An SQLite file is then this process's until the connection is destroyed.
 * SQLite commits with `synchronous=FULL`, so that what was acknowledged survives a power failure too.
 * @throws SettingsError when another process serves the SQLite file
 */
export async function openDataSource(options: DataSourceOptions): Promise<DataSource> {
  const dataSource = dataSourceOf(options);
  await dataSource.initialize();
  try {
    if (options.type === 'sqlite') {
      await dataSource.query('PRAGMA synchronous = FULL');
      await dataSource.query('PRAGMA foreign_keys = ON');
    }
    await migrate(dataSource);
    return dataSource;
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
}

/** Any constant: every Zonewise process takes the same lock, so that only one of them migrates. */
const MIGRATION_LOCK = 0x7a6f6e65;

async function migrate(dataSource: DataSource): Promise<void> {
  if (dataSource.options.type !== 'postgres') {
    await dataSource.runMigrations();
    return;
  }
  const lockHolder = dataSource.createQueryRunner();
  await lockHolder.connect();
  try {
    await lockHolder.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await dataSource.runMigrations();
  } finally {
    await lockHolder.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]);
    await lockHolder.release();
  }
}
