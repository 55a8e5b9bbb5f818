import { Module } from '@nestjs/common';
import { JobsModule } from '../jobs/jobs.module';
import { PackingPlansController } from './packing-plans.controller';
import { SchemasController } from './schemas.controller';
import { PackingPlansService } from './packing-plans.service';

@Module({
  imports: [JobsModule],
  controllers: [PackingPlansController, SchemasController],
  providers: [PackingPlansService],
})
export class PackingPlansModule {}
