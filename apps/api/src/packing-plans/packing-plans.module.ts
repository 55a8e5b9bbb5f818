import { Module } from '@nestjs/common';
import { PackingPlansController } from './packing-plans.controller';
import { PackingPlansService } from './packing-plans.service';

@Module({ controllers: [PackingPlansController], providers: [PackingPlansService] })
export class PackingPlansModule {}
