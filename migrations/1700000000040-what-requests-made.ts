import { MigrationInterface, QueryRunner } from 'typeorm';

/** What a request has made, kept with it until it is answered: see IdempotencyKey. */
export class WhatRequestsMade1700000000040 implements MigrationInterface {
  name = 'WhatRequestsMade1700000000040';

  async up(queryRunner: QueryRunner): Promise<void> {
    // In plain SQL: the query runner would copy the whole table on SQLite.
    await queryRunner.query('ALTER TABLE "idempotency_keys" ADD COLUMN "madeStatus" integer');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE "idempotency_keys" DROP COLUMN "madeStatus"');
  }
}
