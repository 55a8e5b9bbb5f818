import { MigrationInterface, QueryRunner, Table } from 'typeorm';

const text = (name: string, isNullable = false) => ({ name, type: 'text', isNullable });
const varchar = (name: string, length: number, isNullable = false) => ({
  name,
  type: 'varchar',
  length: String(length),
  isNullable,
});
const integer = (name: string) => ({ name, type: 'integer' });
const id = { ...varchar('id', 36), isPrimary: true };
const times = [varchar('createdAt', 24), varchar('updatedAt', 24)];

/** Only column types that SQLite and PostgreSQL both have: JSON is text, times are ISO 8601 text. */
export class HostsAndDomains1700000000000 implements MigrationInterface {
  name = 'HostsAndDomains1700000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.createTable(
      new Table({
        name: 'hosts',
        columns: [
          id,
          varchar('name', 128),
          text('description', true),
          text('model'),
          text('summary'),
          text('provenance'),
          text('differences'),
          text('caveats'),
          text('sources'),
          text('sourceTexts'),
          integer('version'),
          ...times,
        ],
        indices: [
          { name: 'hosts_name_key', columnNames: ['name'], isUnique: true },
          { name: 'hosts_createdAt_id', columnNames: ['createdAt', 'id'] },
        ],
      }),
    );
    await queryRunner.createTable(
      new Table({
        name: 'domains',
        columns: [
          id,
          varchar('hostId', 36),
          varchar('name', 255),
          varchar('state', 16),
          text('xml'),
          text('view'),
          text('residency', true),
          varchar('residencySource', 16, true),
          text('residencyNotes'),
          integer('swapPages'),
          integer('version'),
          ...times,
        ],
        indices: [
          { name: 'domains_hostId_name_key', columnNames: ['hostId', 'name'], isUnique: true },
          { name: 'domains_hostId_createdAt_id', columnNames: ['hostId', 'createdAt', 'id'] },
        ],
        foreignKeys: [
          {
            name: 'domains_hostId_fkey',
            columnNames: ['hostId'],
            referencedTableName: 'hosts',
            referencedColumnNames: ['id'],
            onDelete: 'CASCADE',
          },
        ],
      }),
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.dropTable('domains');
    await queryRunner.dropTable('hosts');
  }
}
