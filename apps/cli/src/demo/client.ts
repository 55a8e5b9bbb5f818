/** A request that the service refused, with its problem document. */
export class ServiceError extends Error {
  constructor(
    readonly status: number,
    readonly problem: unknown,
    what: string,
  ) {
    super(`${what}: ${status} ${JSON.stringify(problem)}`);
  }
}

/** A thin client of the HTTP API: what an orchestration tool would write. */
export class Client {
  constructor(private readonly address: string) {}

  async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.send(method, path, 'application/json', JSON.stringify(body));
    return (await response.json()) as T;
  }

  async text(path: string): Promise<string> {
    return (await this.send('GET', path)).text();
  }

  /** Sends a form; strings become files named as their field. */
  async form<T>(method: string, path: string, parts: Record<string, string>): Promise<T> {
    const form = new FormData();
    for (const [name, content] of Object.entries(parts)) {
      form.append(name, new Blob([content]), name);
    }
    const response = await this.check(
      method,
      path,
      await fetch(this.address + path, { method, body: form }),
    );
    return (await response.json()) as T;
  }

  async xml<T>(method: string, path: string, body: string): Promise<T> {
    const response = await this.send(method, path, 'application/xml', body);
    return (await response.json()) as T;
  }

  private async send(
    method: string,
    path: string,
    type?: string,
    body?: string,
  ): Promise<Response> {
    const headers: Record<string, string> = type ? { 'content-type': type } : {};
    return this.check(method, path, await fetch(this.address + path, { method, headers, body }));
  }

  private async check(method: string, path: string, response: Response): Promise<Response> {
    if (response.ok) return response;
    const problem: unknown = await response.json().catch(() => response.statusText);
    throw new ServiceError(response.status, problem, `${method} ${path}`);
  }
}
