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

const hostId = (isNullable: boolean): TableColumn =>
  new TableColumn({ ...varchar('hostId', 36), isNullable });

/** Jobs that are about no stored host, and what they answer. */
export class JobsWithoutHost1700000000010 implements MigrationInterface {
  name = 'JobsWithoutHost1700000000010';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.changeColumn('jobs', 'hostId', hostId(true));
    await queryRunner.createTable(results);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.dropTable(results.name);
    await queryRunner.query('DELETE FROM "jobs" WHERE "hostId" IS NULL');
    await queryRunner.changeColumn('jobs', 'hostId', hostId(false));
  }
}
