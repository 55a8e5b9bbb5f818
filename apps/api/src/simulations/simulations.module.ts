import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { JobsModule } from '../jobs/jobs.module';
import { Simulation } from './simulation.entity';
import { SimulationsController } from './simulations.controller';
import { SimulationsService } from './simulations.service';

@Module({
  imports: [JobsModule, TypeOrmModule.forFeature([Simulation])],
  controllers: [SimulationsController],
  providers: [SimulationsService],
})
export class SimulationsModule {}
