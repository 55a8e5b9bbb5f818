import { MigrationInterface, QueryRunner, Table } from 'typeorm';

const text = (name: string, isNullable = false) => ({ name, type: 'text', isNullable });
const varchar = (name: string, length: number, isNullable = false) => ({
  name,
  type: 'varchar',
  length: String(length),
  isNullable,
});
const integer = (name: string, isNullable = false) => ({ name, type: 'integer', isNullable });
const id = { ...varchar('id', 36), isPrimary: true };
const times = [varchar('createdAt', 24), varchar('updatedAt', 24)];

/** What belongs to a host goes when it goes. */
const ofHost = (table: string) => ({
  foreignKeys: [
    {
      name: `${table}_hostId_fkey`,
      columnNames: ['hostId'],
      referencedTableName: 'hosts',
      referencedColumnNames: ['id'],
      onDelete: 'CASCADE',
    },
  ],
});
const listIndex = (table: string) => ({
  name: `${table}_hostId_createdAt_id`,
  columnNames: ['hostId', 'createdAt', 'id'],
});

const jobs = new Table({
  name: 'jobs',
  columns: [
    id,
    varchar('kind', 32),
    varchar('hostId', 36),
    varchar('state', 16),
    { name: 'progress', type: 'real' },
    text('message', true),
    text('request'),
    varchar('resultId', 36, true),
    text('error', true),
    integer('attempts'),
    ...times,
    varchar('startedAt', 24, true),
    varchar('finishedAt', 24, true),
  ],
  indices: [
    listIndex('jobs'),
    { name: 'jobs_createdAt_id', columnNames: ['createdAt', 'id'] },
    { name: 'jobs_state', columnNames: ['state'] },
  ],
  ...ofHost('jobs'),
});

const simulations = new Table({
  name: 'simulations',
  columns: [
    id,
    varchar('hostId', 36),
    varchar('jobId', 36),
    text('basis'),
    text('outcome'),
    text('assumptions'),
    text('result'),
    varchar('createdAt', 24),
  ],
  indices: [listIndex('simulations')],
  ...ofHost('simulations'),
});

const recommendations = new Table({
  name: 'recommendations',
  columns: [
    id,
    varchar('hostId', 36),
    varchar('jobId', 36),
    varchar('name', 128),
    text('basis'),
    text('content'),
    text('files'),
    varchar('state', 16),
    text('stateMetadata'),
    integer('version'),
    varchar('lastRefreshTime', 24),
    ...times,
  ],
  indices: [listIndex('recommendations')],
  ...ofHost('recommendations'),
});

const idempotencyKeys = new Table({
  name: 'idempotency_keys',
  columns: [
    { ...varchar('key', 255), isPrimary: true },
    varchar('fingerprint', 64),
    integer('status', true),
    text('headers', true),
    text('body', true),
    varchar('createdAt', 24),
    varchar('expiresAt', 24),
  ],
  indices: [{ name: 'idempotency_keys_expiresAt', columnNames: ['expiresAt'] }],
});

/** Only column types that SQLite and PostgreSQL both have: JSON is text, times are ISO 8601 text. */
export class JobsAndResults1700000000001 implements MigrationInterface {
  name = 'JobsAndResults1700000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const table of [jobs, simulations, recommendations, idempotencyKeys]) {
      await queryRunner.createTable(table);
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const table of [idempotencyKeys, recommendations, simulations, jobs]) {
      await queryRunner.dropTable(table.name);
    }
  }
}
