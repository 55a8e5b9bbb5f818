import { Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { SETTINGS, Settings } from '../config/settings';
import { dataSourceOptions, openDataSource } from './data-source';
import { Presence } from './presence';
import { Transactions } from './transactions';

/** Entities are registered by the feature modules with `TypeOrmModule.forFeature`. */
@Global()
@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      inject: [SETTINGS],
      useFactory: (settings: Settings) => ({
        ...dataSourceOptions(settings.database),
        autoLoadEntities: true,
        retryAttempts: settings.database.kind === 'postgres' ? 5 : 0,
        retryDelay: 1000,
      }),
      dataSourceFactory: (options) => {
        if (options === undefined) throw new Error('The database has no options.');
        return openDataSource(options);
      },
    }),
  ],
  providers: [Transactions, Presence],
  exports: [Transactions, Presence],
})
export class DatabaseModule {}
