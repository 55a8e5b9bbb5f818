import { Module } from '@nestjs/common';
import { JobsModule } from '../jobs/jobs.module';
import { HeadroomController } from './headroom.controller';
import { HeadroomService } from './headroom.service';

@Module({
  imports: [JobsModule],
  controllers: [HeadroomController],
  providers: [HeadroomService],
})
export class HeadroomModule {}
