import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import helmet from 'helmet';
import { Logger } from 'nestjs-pino';
import { AppModule } from './app.module';
import type { Settings } from './config/settings';
import { ensureSqliteFile } from './database/sqlite-file';
import { mountDocs } from './docs/openapi';
import { useBodyParsers } from './http/body-parsers';

/**
 * How long an idle connection is kept. Longer than the minute after which proxies and client pools close theirs, so that it is never
 * this side that closes a connection on which a request is already under way.
 */
const KEEP_ALIVE_MS = 75_000;

/**
 * The whole service, initialised but not listening: used by main.ts and by the tests.
 * Migrations have run when it resolves. `close()` ends open connections, event streams too.
 * @throws SettingsError when the SQLite file cannot be
 */
export async function createApp(settings: Settings): Promise<NestExpressApplication> {
  ensureSqliteFile(settings.database);
  const app = await NestFactory.create<NestExpressApplication>(AppModule.forRoot(settings), {
    bodyParser: false,
    bufferLogs: true,
    abortOnError: false,
    forceCloseConnections: true,
  });
  app.useLogger(app.get(Logger));
  app.flushLogs();
  app.disable('x-powered-by');
  // ETags are the stored things' versions, never hashes of the answer.
  app.set('etag', false);
  app.use(
    helmet({
      contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
      hsts: false,
    }),
  );
  useBodyParsers(app, settings.bodyLimitBytes);
  mountDocs(app);
  app.getHttpServer().keepAliveTimeout = KEEP_ALIVE_MS;
  await app.init();
  return app;
}
