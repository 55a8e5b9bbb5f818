import { DataSource, DataSourceOptions } from 'typeorm';
import { migrations } from '../../../../migrations';
import type { DatabaseSettings } from '../config/settings';

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
      busyTimeout: 5000,
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

/**
 * Connects and brings the schema up to date.
 * SQLite commits with `synchronous=FULL`, so that what was acknowledged survives a power failure too.
 */
export async function openDataSource(options: DataSourceOptions): Promise<DataSource> {
  const dataSource = new DataSource(options);
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
