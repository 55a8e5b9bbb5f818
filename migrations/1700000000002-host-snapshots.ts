import { MigrationInterface, QueryRunner, Table } from 'typeorm';

const text = (name: string) => ({ name, type: 'text', isNullable: false });
const varchar = (name: string, length: number) => ({
  name,
  type: 'varchar',
  length: String(length),
  isNullable: false,
});

/** Columns that a snapshot has from its host. */
const DESCRIPTION = ['model', 'summary', 'provenance', 'differences', 'caveats', 'sources'];

const snapshots = new Table({
  name: 'host_snapshots',
  columns: [
    { ...varchar('id', 36), isPrimary: true },
    varchar('hostId', 36),
    { name: 'number', type: 'integer' },
    ...DESCRIPTION.map(text),
    text('guests'),
    varchar('createdAt', 24),
  ],
  indices: [
    {
      name: 'host_snapshots_hostId_number_key',
      columnNames: ['hostId', 'number'],
      isUnique: true,
    },
  ],
  foreignKeys: [
    {
      name: 'host_snapshots_hostId_fkey',
      columnNames: ['hostId'],
      referencedTableName: 'hosts',
      referencedColumnNames: ['id'],
      onDelete: 'CASCADE',
    },
  ],
});

/** Hosts that are stored already get what they are now as their first snapshot, under the host's own id. */
export class HostSnapshots1700000000002 implements MigrationInterface {
  name = 'HostSnapshots1700000000002';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.createTable(snapshots);
    const same = DESCRIPTION.map((name) => `"${name}"`).join(', ');
    await queryRunner.query(
      `INSERT INTO "host_snapshots" ("id", "hostId", "number", ${same}, "guests", "createdAt")
       SELECT "id", "id", 1, ${same}, '[]', "updatedAt" FROM "hosts"`,
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.dropTable(snapshots.name);
  }
}
