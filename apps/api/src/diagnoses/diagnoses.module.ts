import { Module } from '@nestjs/common';
import { HostsModule } from '../hosts/hosts.module';
import { DiagnosesController } from './diagnoses.controller';

/** Explains kernel logs. Nothing here is stored. */
@Module({ imports: [HostsModule], controllers: [DiagnosesController] })
export class DiagnosesModule {}
