import { randomInt } from 'node:crypto';
import { Injectable, OnModuleInit } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, QueryRunner } from 'typeorm';

/** First key of the advisory locks by which living processes are known; any constant. */
const PRESENCE_LOCK = 0x7a6f6e66;
const MAX_NUMBER = 2 ** 31 - 1;

/** Whether the process that carried this number has ended. */
export type Ended = (processNumber: number | null) => boolean;

/**
 * Which of the processes that serve one database live.
 *
 * On PostgreSQL each holds a session lock on a number of its own, which the server takes back when the session
 * ends, however it ends: no clocks are compared and nobody waits for a lease to run out. A process whose session
 * broke is dead to the others although it runs, so it takes another number and leaves what it did under the old one.
 * SQLite has one process, which {@link SqliteLock} sees to: whatever stands there is its own or an earlier one's.
 */
@Injectable()
export class Presence implements OnModuleInit {
  private current = randomInt(1, MAX_NUMBER);
  private holder: QueryRunner | null = null;
  private closed = false;

  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** Written beside whatever this process begins. */
  get number(): number {
    return this.current;
  }

  /** Whether other processes may serve the same database. */
  get isShared(): boolean {
    return this.dataSource.options.type === 'postgres';
  }

  /** Makes this process known, before it begins anything. */
  async onModuleInit(): Promise<void> {
    if (this.isShared) await this.open();
  }

  private async open(): Promise<void> {
    const holder = this.dataSource.createQueryRunner();
    try {
      await holder.connect();
      while (!(await tryLock(holder, this.current))) this.current = randomInt(1, MAX_NUMBER);
    } catch (error) {
      await holder.release();
      throw error;
    }
    this.holder = holder;
  }

  /**
   * Looks whether the others still see this process, and makes it known anew where they do not.
   * @returns false when they had lost it: what it was doing is no longer its own
   */
  async keep(): Promise<boolean> {
    if (!this.isShared || this.closed) return true;
    if (this.holder !== null && (await isHeld(this.holder, this.current))) return true;
    await this.letGo();
    this.current = randomInt(1, MAX_NUMBER);
    await this.open();
    return false;
  }

  /**
   * Tells who has ended. To be asked after the numbers were read that it is about: a process that begins in between
   * would otherwise look like one that has ended.
   */
  async ended(): Promise<Ended> {
    if (!this.isShared) return (number) => number !== this.current;
    const rows = await this.dataSource.query<{ number: string }[]>(
      `SELECT objid::bigint AS number FROM pg_locks
       WHERE locktype = 'advisory' AND classid = $1 AND objsubid = 2 AND granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      [PRESENCE_LOCK],
    );
    const living = new Set(rows.map(({ number }) => Number(number)));
    return (number) => number === null || !living.has(number);
  }

  /** Ends the presence, last of all; others may then take up what this process left. */
  async close(): Promise<void> {
    this.closed = true;
    await this.letGo();
  }

  private async letGo(): Promise<void> {
    const { holder } = this;
    this.holder = null;
    if (holder === null || holder.isReleased) return;
    try {
      await holder.query('SELECT pg_advisory_unlock($1, $2)', [PRESENCE_LOCK, this.current]);
    } catch {
      // The session is gone, and the lock with it.
    }
    if (!holder.isReleased) await holder.release();
  }
}

async function tryLock(holder: QueryRunner, number: number): Promise<boolean> {
  const rows = (await holder.query('SELECT pg_try_advisory_lock($1, $2) AS locked', [
    PRESENCE_LOCK,
    number,
  ])) as { locked: boolean }[];
  return rows[0]?.locked === true;
}

async function isHeld(holder: QueryRunner, number: number): Promise<boolean> {
  if (holder.isReleased) return false;
  try {
    const rows = (await holder.query(
      `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = $1 AND objid = $2
         AND objsubid = 2 AND granted AND pid = pg_backend_pid()`,
      [PRESENCE_LOCK, number],
    )) as unknown[];
    return rows.length === 1;
  } catch {
    return false;
  }
}
