import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { JobsModule } from '../jobs/jobs.module';
import { Recommendation } from './recommendation.entity';
import { RecommendationsController } from './recommendations.controller';
import { RecommendationsService } from './recommendations.service';
import { Verification } from './verification.entity';
import { VerificationsController } from './verifications.controller';
import { VerificationsService } from './verifications.service';

@Module({
  imports: [JobsModule, TypeOrmModule.forFeature([Recommendation, Verification])],
  controllers: [RecommendationsController, VerificationsController],
  providers: [RecommendationsService, VerificationsService],
})
export class RecommendationsModule {}
