import { Global, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE } from '@nestjs/core';
import { MulterModule } from '@nestjs/platform-express';
import { SETTINGS, Settings } from '../config/settings';
import { ContentTypeGuard } from './content-type.guard';
import { ProblemFilter } from './problem.filter';
import { createValidationPipe } from './validation.pipe';

/** Four texts for each of 1024 nodes, and the host's own. */
const MAX_PARTS = 4200;

/** What every request passes: content type, validation, multipart limits, problems. */
@Global()
@Module({
  imports: [
    MulterModule.registerAsync({
      inject: [SETTINGS],
      useFactory: ({ bodyLimitBytes }: Settings) => ({
        limits: {
          fileSize: bodyLimitBytes,
          fieldSize: bodyLimitBytes,
          files: MAX_PARTS,
          fields: MAX_PARTS,
          parts: MAX_PARTS,
          fieldNameSize: 100,
          headerPairs: 20,
        },
      }),
    }),
  ],
  providers: [
    { provide: APP_FILTER, useClass: ProblemFilter },
    { provide: APP_GUARD, useClass: ContentTypeGuard },
    { provide: APP_PIPE, useFactory: createValidationPipe },
  ],
  exports: [MulterModule],
})
export class HttpModule {}
