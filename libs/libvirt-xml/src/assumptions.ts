import type { AssumptionCode } from './codes';

/** Rules used where a document leaves something open; each is said once. */
export class Assumptions {
  private readonly entries = new Map<string, { code: AssumptionCode; message: string }>();

  add(code: AssumptionCode, message: string): void {
    this.entries.set(`${code} ${message}`, { code, message });
  }

  list(): { code: AssumptionCode; message: string }[] {
    return [...this.entries.values()];
  }
}
