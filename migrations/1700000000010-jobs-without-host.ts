import { MigrationInterface, QueryRunner, Table, TableColumn } from 'typeorm';

const varchar = (name: string, length: number) => ({
  name,
  type: 'varchar',
  length: String(length),
  isNullable: false,
});

const results = new Table({
  name: 'job_results',
  columns: [
    { ...varchar('id', 36), isPrimary: true },
    varchar('jobId', 36),
    varchar('kind', 32),
    { name: 'content', type: 'text', isNullable: false },
    varchar('createdAt', 24),
  ],
  foreignKeys: [
    {
      name: 'job_results_jobId_fkey',
      columnNames: ['jobId'],
      referencedTableName: 'jobs',
      referencedColumnNames: ['id'],
      onDelete: 'CASCADE',
    },
  ],
});

/**
 * SQLite can only copy the table. On PostgreSQL the query runner would drop the column and make it anew, without its values
 * and its foreign key, because it reads the type back under its long name.
 */
async function mayLackHost(queryRunner: QueryRunner, isNullable: boolean): Promise<void> {
  if (queryRunner.connection.options.type === 'postgres') {
    const change = isNullable ? 'DROP NOT NULL' : 'SET NOT NULL';
    await queryRunner.query(`ALTER TABLE "jobs" ALTER COLUMN "hostId" ${change}`);
    return;
  }
  const hostId = new TableColumn({ ...varchar('hostId', 36), isNullable });
  await queryRunner.changeColumn('jobs', 'hostId', hostId);
}

/** Jobs that are about no stored host, and what they answer. */
export class JobsWithoutHost1700000000010 implements MigrationInterface {
  name = 'JobsWithoutHost1700000000010';

  async up(queryRunner: QueryRunner): Promise<void> {
    await mayLackHost(queryRunner, true);
    await queryRunner.createTable(results);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.dropTable(results.name);
    await queryRunner.query('DELETE FROM "jobs" WHERE "hostId" IS NULL');
    await mayLackHost(queryRunner, false);
  }
}
