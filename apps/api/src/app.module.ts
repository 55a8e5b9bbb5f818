import { DynamicModule, Module } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import { Settings } from './config/settings';
import { SettingsModule } from './config/settings.module';
import { DatabaseModule } from './database/database.module';
import { DiagnosesModule } from './diagnoses/diagnoses.module';
import { DomainsModule } from './domains/domains.module';
import { HeadroomModule } from './headroom/headroom.module';
import { HealthModule } from './health/health.module';
import { HostsModule } from './hosts/hosts.module';
import { HttpModule } from './http/http.module';
import { JobsModule } from './jobs/jobs.module';
import { LayoutModule } from './layout/layout.module';
import { PackingPlansModule } from './packing-plans/packing-plans.module';
import { PlacementsModule } from './placements/placements.module';
import { RecommendationsModule } from './recommendations/recommendations.module';
import { SimulationsModule } from './simulations/simulations.module';

@Module({})
export class AppModule {
  static forRoot(settings: Settings): DynamicModule {
    return {
      module: AppModule,
      imports: [
        SettingsModule.forRoot(settings),
        LoggerModule.forRoot({
          pinoHttp: {
            level: settings.logLevel,
            redact: ['req.headers.authorization', 'req.headers.cookie'],
            autoLogging: { ignore: (request) => request.url?.startsWith('/health') ?? false },
          },
        }),
        DatabaseModule,
        HttpModule,
        HealthModule,
        HostsModule,
        DomainsModule,
        LayoutModule,
        DiagnosesModule,
        JobsModule,
        SimulationsModule,
        RecommendationsModule,
        PackingPlansModule,
        HeadroomModule,
        PlacementsModule,
      ],
    };
  }
}
