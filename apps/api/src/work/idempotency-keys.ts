import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable } from '@nestjs/common';
import { type EntityManager, IsNull, LessThan } from 'typeorm';
import { Presence } from '../database/presence';
import { isUniqueViolation, Transactions } from '../database/transactions';
import { ProblemException } from '../http/problem';
import { IdempotencyKey } from './idempotency-key.entity';

const KEPT_MS = 24 * 60 * 60 * 1000;

/** A request that carries an Idempotency-Key, while this process answers it. */
export interface KeyedRequest {
  key: string;
  /** Of the process that claimed the key ({@link Presence}). */
  processNumber: number;
  /** sha256 of method, address and body; to be asked once the body has been read. */
  fingerprint: () => string;
}

/** An answer as it is kept. */
export interface KeptAnswer {
  /** HTTP status. */
  status: number;
  /** By their names in lower case. */
  headers: Record<string, string>;
  /** Becomes JSON; undefined: none. */
  body: unknown;
}

const inUse = (): ProblemException =>
  new ProblemException(
    'idempotency-key-in-use',
    'The request that came first with this Idempotency-Key is not answered yet; repeat later.',
    { path: 'Idempotency-Key', headers: { 'Retry-After': '1' } },
  );

const columnsOf = ({ headers, body }: KeptAnswer) => ({
  headers,
  body: body === undefined ? null : JSON.stringify(body),
});

/**
 * The keys in the database. A row is open (status null) while its request is answered. What the request makes is
 * recorded in the transaction that stores it, so that after a crash between that transaction and the answer a
 * repetition gets what was made and does not make it again.
 */
@Injectable()
export class IdempotencyKeys {
  private readonly current = new AsyncLocalStorage<KeyedRequest>();

  constructor(
    private readonly transactions: Transactions,
    private readonly presence: Presence,
  ) {}

  /** Runs what answers a keyed request; {@link record} below it knows the request. */
  answering<T>(request: KeyedRequest, work: () => T): T {
    return this.current.run(request, work);
  }

  /**
   * Records what a request has made, in the transaction that stores it; without a key there is nothing to record.
   * @param answer what a repetition gets if the process ends before it has answered
   * @throws ProblemException idempotency-key-in-use (409) when the key is another process's meanwhile
   */
  async record(manager: EntityManager, answer: () => KeptAnswer): Promise<void> {
    const request = this.current.getStore();
    if (request === undefined) return;
    const made = answer();
    const change = {
      ...columnsOf(made),
      fingerprint: request.fingerprint(),
      madeStatus: made.status,
    };
    const { affected } = await manager.update(IdempotencyKey, openRow(request), change);
    if (affected !== 1) throw inUse();
  }

  /**
   * Gives a key to a request.
   * @returns null when the key is now the request's, else the answered row of the earlier one
   * @throws ProblemException idempotency-key-in-use (409)
   */
  async claim(
    key: string,
    fingerprint: string,
    processNumber: number,
  ): Promise<IdempotencyKey | null> {
    const now = Date.now();
    const row: IdempotencyKey = {
      ...{ key, fingerprint, status: null, madeStatus: null, headers: null, body: null },
      processNumber,
      createdAt: new Date(now).toISOString(),
      expiresAt: new Date(now + KEPT_MS).toISOString(),
    };
    try {
      await this.transactions.run(async (manager) => {
        await manager.delete(IdempotencyKey, { expiresAt: LessThan(row.createdAt) });
        await manager.insert(IdempotencyKey, row);
      });
      return null;
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
    }
    const earlier = await this.transactions.read((manager) =>
      manager.findOneBy(IdempotencyKey, { key }),
    );
    if (earlier !== null && earlier.status !== null) return earlier;
    if (earlier !== null && (await this.closeIfEnded(earlier))) {
      return this.claim(key, fingerprint, processNumber);
    }
    throw inUse();
  }

  /** Keeps the answer that the request got. */
  async keep(request: KeyedRequest, answer: KeptAnswer): Promise<void> {
    const change = {
      ...columnsOf(answer),
      fingerprint: request.fingerprint(),
      status: answer.status,
    };
    await this.transactions.run((manager) =>
      manager.update(IdempotencyKey, openRow(request), change),
    );
  }

  /** Frees the key: the request was refused or failed, and may be made again. */
  async forget(request: Pick<KeyedRequest, 'key' | 'processNumber'>): Promise<void> {
    await this.transactions.run((manager) => manager.delete(IdempotencyKey, openRow(request)));
  }

  /** Closes a row that was not answered: with what its request made, or, where it made nothing, as not made. */
  async close(row: { key: string; processNumber: number | null }): Promise<void> {
    await this.transactions.run(async (manager) => {
      await manager
        .createQueryBuilder()
        .update(IdempotencyKey)
        .set({ status: () => '"madeStatus"' })
        .where(openRow(row))
        .execute();
      await manager.delete(IdempotencyKey, openRow(row));
    });
  }

  /** Closes what ended processes left. */
  async closeEnded(): Promise<void> {
    const open = await this.transactions.read((manager) =>
      manager.find(IdempotencyKey, { where: { status: IsNull() } }),
    );
    for (const row of open) await this.closeIfEnded(row);
  }

  private async closeIfEnded(row: IdempotencyKey): Promise<boolean> {
    const hasEnded = await this.presence.ended();
    if (!hasEnded(row.processNumber)) return false;
    await this.close(row);
    return true;
  }
}

/** The row of a request that is not answered, as long as it is still that process's. */
const openRow = ({ key, processNumber }: { key: string; processNumber: number | null }) => ({
  key,
  processNumber: processNumber ?? IsNull(),
  status: IsNull(),
});
