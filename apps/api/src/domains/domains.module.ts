import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Domain } from '../database/entities/domain.entity';
import { HostsModule } from '../hosts/hosts.module';
import { DomainsController } from './domains.controller';
import { DomainsService } from './domains.service';
import { DomainInspectController } from './inspect.controller';

@Module({
  imports: [TypeOrmModule.forFeature([Domain]), HostsModule],
  controllers: [DomainInspectController, DomainsController],
  providers: [DomainsService],
  exports: [DomainsService],
})
export class DomainsModule {}
