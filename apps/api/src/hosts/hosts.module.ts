import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { HostSnapshot } from '../database/entities/host-snapshot.entity';
import { Host } from '../database/entities/host.entity';
import { ArchiveReader, DEFAULT_READER_LIMITS, READER_LIMITS } from '../collector/archive-reader';
import { CollectorController } from '../collector/collector.controller';
import { HostsController } from './hosts.controller';
import { HostsService } from './hosts.service';
import { SnapshotsController } from './snapshots.controller';
import { SnapshotsService } from './snapshots.service';

@Module({
  imports: [TypeOrmModule.forFeature([Host, HostSnapshot])],
  controllers: [CollectorController, HostsController, SnapshotsController],
  providers: [
    HostsService,
    SnapshotsService,
    ArchiveReader,
    { provide: READER_LIMITS, useFactory: () => ({ ...DEFAULT_READER_LIMITS }) },
  ],
  exports: [HostsService],
})
export class HostsModule {}
