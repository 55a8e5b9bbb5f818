import { Module } from '@nestjs/common';
import { PackingPlansController } from './packing-plans.controller';
import { SchemasController } from './schemas.controller';
import { PackingPlansService } from './packing-plans.service';

@Module({
  controllers: [PackingPlansController, SchemasController],
  providers: [PackingPlansService],
})
export class PackingPlansModule {}
