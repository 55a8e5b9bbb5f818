import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Host } from '../database/entities/host.entity';
import { CollectorController } from '../collector/collector.controller';
import { HostsController } from './hosts.controller';
import { HostsService } from './hosts.service';

@Module({
  imports: [TypeOrmModule.forFeature([Host])],
  controllers: [CollectorController, HostsController],
  providers: [HostsService],
  exports: [HostsService],
})
export class HostsModule {}
