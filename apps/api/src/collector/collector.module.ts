import { Global, Module } from '@nestjs/common';
import { ArchiveReader, DEFAULT_READER_LIMITS, READER_LIMITS } from './archive-reader';
import { CollectorController } from './collector.controller';

/** The collector's script, and the one thread that reads archives, whichever module takes them. */
@Global()
@Module({
  controllers: [CollectorController],
  providers: [
    ArchiveReader,
    { provide: READER_LIMITS, useFactory: () => ({ ...DEFAULT_READER_LIMITS }) },
  ],
  exports: [ArchiveReader],
})
export class CollectorModule {}
