import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { HostSnapshot } from '../database/entities/host-snapshot.entity';
import { Host } from '../database/entities/host.entity';
import { CollectorModule } from '../collector/collector.module';
import { HostsController } from './hosts.controller';
import { HostsService } from './hosts.service';
import { SnapshotsController } from './snapshots.controller';
import { SnapshotsService } from './snapshots.service';

@Module({
  imports: [CollectorModule, TypeOrmModule.forFeature([Host, HostSnapshot])],
  controllers: [HostsController, SnapshotsController],
  providers: [HostsService, SnapshotsService],
  exports: [HostsService],
})
export class HostsModule {}
