import { MigrationInterface, QueryRunner } from 'typeorm';

const TABLES = ['jobs', 'idempotency_keys'];

/** Which process runs a job or answers a request; none of what an earlier release left behind is alive. */
export class SharedDatabase1700000000030 implements MigrationInterface {
  name = 'SharedDatabase1700000000030';

  async up(queryRunner: QueryRunner): Promise<void> {
    // In plain SQL: the query runner would copy the whole table on SQLite.
    for (const table of TABLES) {
      await queryRunner.query(`ALTER TABLE "${table}" ADD COLUMN "processNumber" integer`);
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const table of TABLES) {
      await queryRunner.query(`ALTER TABLE "${table}" DROP COLUMN "processNumber"`);
    }
  }
}
