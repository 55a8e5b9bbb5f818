import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty, ApiTags } from '@nestjs/swagger';
import { HealthCheck, HealthCheckService, TypeOrmHealthIndicator } from '@nestjs/terminus';
import { ApiProblems } from '../docs/api-problems';
import { packageVersion } from './version';

export class LiveDto {
  @ApiProperty({ example: 'ok' })
  status: string;
}

export class VersionDto {
  @ApiProperty({ example: 'zonewise' })
  name: string;

  @ApiProperty({ example: '0.1.0' })
  version: string;

  @ApiProperty({ example: 'v1', description: 'Prefix of the API that this version serves.' })
  api: string;

  @ApiProperty({ example: 'v20.20.2' })
  node: string;
}

@ApiTags('service')
@Controller()
export class HealthController {
  private readonly version = packageVersion();

  constructor(
    private readonly health: HealthCheckService,
    private readonly database: TypeOrmHealthIndicator,
  ) {}

  @Get('health/live')
  @ApiOperation({ summary: 'Whether the process answers at all' })
  @ApiOkResponse({ type: LiveDto })
  live(): LiveDto {
    return { status: 'ok' };
  }

  @Get('health/ready')
  @HealthCheck({ swaggerDocumentation: false })
  @ApiOperation({ summary: 'Whether the process can do its work: the database answers' })
  @ApiOkResponse({
    description: 'Ready.',
    schema: {
      type: 'object',
      example: { status: 'ok', info: { database: { status: 'up' } } },
    },
  })
  @ApiProblems('not-ready')
  ready() {
    return this.health.check([() => this.database.pingCheck('database', { timeout: 2000 })]);
  }

  @Get('version')
  @ApiOperation({ summary: 'Which Zonewise this is' })
  @ApiOkResponse({ type: VersionDto })
  versionOf(): VersionDto {
    return { name: 'zonewise', version: this.version, api: 'v1', node: process.version };
  }
}
