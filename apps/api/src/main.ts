import 'reflect-metadata';
import { createApp } from './app.factory';
import { loadSettings, SettingsError } from './config/settings';

/** One line, whatever the log level: other programs read the address from it. */
function announce(address: string): void {
  const line = { level: 30, time: Date.now(), pid: process.pid, msg: 'listening', address };
  process.stdout.write(`${JSON.stringify({ ...line, docs: `${address}/docs` })}\n`);
}

async function main(): Promise<void> {
  const settings = loadSettings(process.env);
  const app = await createApp(settings);
  const stop = (): void => {
    app.close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  await app.listen(settings.port, settings.host);
  announce((await app.getUrl()).replace('[::1]', 'localhost'));
}

main().catch((error: unknown) => {
  const text =
    error instanceof SettingsError
      ? `zonewise: ${error.problems.join('\nzonewise: ')}`
      : `zonewise: cannot start: ${error instanceof Error ? error.message : String(error)}`;
  process.stderr.write(`${text}\n`);
  process.exit(1);
});
