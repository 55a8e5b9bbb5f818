import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A POST that was answered, kept for a day so that a repetition gets the same answer. */
@Entity('idempotency_keys')
export class IdempotencyKey {
  @PrimaryColumn('varchar', { length: 255 })
  key: string;

  /** sha256 of method, address and body; empty while a multipart body is still being read. */
  @Column('varchar', { length: 64 })
  fingerprint: string;

  /** HTTP status of the answer; null while the first request is being answered. */
  @Column('integer', { nullable: true })
  status: number | null;

  /**
   * HTTP status that belongs to `headers` and `body` while `status` is null: they tell what the request has made. It is
   * the answer if the process ends before it has given one. Null where nothing was made.
   */
  @Column('integer', { nullable: true })
  madeStatus: number | null;

  /** Of the process that answers the first request ({@link Presence}). */
  @Column('integer', { nullable: true })
  processNumber: number | null;

  @Column('simple-json', { nullable: true })
  headers: Record<string, string> | null;

  /** The answer's body as JSON. */
  @Column('text', { nullable: true })
  body: string | null;

  @Column('varchar', { length: 24 })
  createdAt: string;

  @Index('idempotency_keys_expiresAt')
  @Column('varchar', { length: 24 })
  expiresAt: string;
}
