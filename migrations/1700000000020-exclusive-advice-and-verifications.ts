import { MigrationInterface, QueryRunner, Table, TableIndex } from 'typeorm';

const column = (name: string, type: string) => ({ name, type, isNullable: false });
const varchar = (name: string, length: number) => ({
  ...column(name, 'varchar'),
  length: String(length),
});

const verifications = new Table({
  name: 'verifications',
  columns: [
    { ...varchar('id', 36), isPrimary: true },
    varchar('recommendationId', 36),
    varchar('verdict', 16),
    column('result', 'text'),
    column('sources', 'text'),
    { ...varchar('concludedState', 16), isNullable: true },
    varchar('createdAt', 24),
  ],
  indices: [
    {
      name: 'verifications_recommendationId_createdAt_id',
      columnNames: ['recommendationId', 'createdAt', 'id'],
    },
  ],
  foreignKeys: [
    {
      name: 'verifications_recommendationId_fkey',
      columnNames: ['recommendationId'],
      referencedTableName: 'recommendations',
      referencedColumnNames: ['id'],
      onDelete: 'CASCADE',
    },
  ],
});

const groupIndex = new TableIndex({
  name: 'recommendations_xorGroupId',
  columnNames: ['xorGroupId'],
});

/** Recommendations that are stored already exclude nothing. */
export class ExclusiveAdviceAndVerifications1700000000020 implements MigrationInterface {
  name = 'ExclusiveAdviceAndVerifications1700000000020';

  async up(queryRunner: QueryRunner): Promise<void> {
    // In plain SQL: the query runner would copy the whole table on SQLite.
    await queryRunner.query('ALTER TABLE "recommendations" ADD COLUMN "xorGroupId" varchar(36)');
    await queryRunner.createIndex('recommendations', groupIndex);
    await queryRunner.createTable(verifications);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.dropTable(verifications.name);
    await queryRunner.query('DROP INDEX "recommendations_xorGroupId"');
    await queryRunner.query('ALTER TABLE "recommendations" DROP COLUMN "xorGroupId"');
  }
}
