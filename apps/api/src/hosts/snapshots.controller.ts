import { Body, Controller, Get, Headers, Param, Post, Query, Res } from '@nestjs/common';
import {
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiHeader,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import type { Collection } from '@zonewise/host-facts';
import type { Response } from 'express';
import { ApiProblems } from '../docs/api-problems';
import { inspectExamples } from '../docs/examples';
import { ARCHIVE_TYPES } from '../http/body-parsers';
import { Consumes } from '../http/content-type.guard';
import { PageQuery } from '../http/cursor';
import { IdParam } from '../work/id-param';
import { Collected, HostFields } from './archive-body';
import { snapshotCreated } from './created';
import { SnapshotDescriptionDto } from './host-requests.dto';
import { HostsService } from './hosts.service';
import {
  CompareQuery,
  ComparisonDto,
  SnapshotDto,
  SnapshotItemDto,
  SnapshotPageDto,
} from './snapshots.dto';
import { SnapshotsService } from './snapshots.service';

const HostId = () => ApiParam({ name: 'hostId', format: 'uuid' });
const numberOf = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Number(text);

@ApiTags('hosts')
@Controller('v1/hosts/:hostId/snapshots')
export class SnapshotsController {
  constructor(
    private readonly hosts: HostsService,
    private readonly snapshots: SnapshotsService,
  ) {}

  @Post()
  @HostId()
  @Consumes('application/json', 'multipart/form-data', ...ARCHIVE_TYPES)
  @HostFields()
  @ApiOperation({
    summary: 'Describe a stored host anew from what it prints now',
    description:
      'As `POST /v1/hosts/import`, without a name. The host has the new description from then on; the earlier ones stay as its snapshots. Guests of an archive replace the stored domains of their names, other domains stay as they are. `kernelLog` alone makes the host what it was when its kernel reported a failure, so that simulations replay from there.',
  })
  @ApiConsumes('application/json', 'multipart/form-data', ...ARCHIVE_TYPES)
  @ApiHeader({
    name: 'If-Match',
    required: false,
    description: 'ETag of the host that the change is based on; another one answers 412.',
  })
  @ApiBody({ type: SnapshotDescriptionDto, examples: inspectExamples })
  @ApiCreatedResponse({ type: SnapshotDto, description: "Stored; ETag is the host's." })
  @ApiProblems(
    ...(['malformed-json', 'validation-failed', 'body-too-large'] as const),
    ...(['unsupported-media-type', 'malformed-multipart', 'malformed-archive'] as const),
    ...(['malformed-xml', 'invalid-capabilities', 'invalid-facts'] as const),
    ...(['length-required', 'host-not-found', 'stale-etag', 'unknown-host-node'] as const),
  )
  async create(
    @IdParam('hostId', 'host-not-found') hostId: string,
    @Body() body: SnapshotDescriptionDto,
    @Collected() collection: Collection | undefined,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<SnapshotDto> {
    const { host, snapshot } = await this.hosts.reimport(hostId, body, collection, ifMatch);
    const { headers, body: answer } = snapshotCreated(host, snapshot);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    return answer;
  }

  @Get()
  @HostId()
  @ApiOperation({ summary: 'What a host was each time it was described, oldest first' })
  @ApiOkResponse({ type: SnapshotPageDto })
  @ApiProblems('validation-failed', 'invalid-cursor', 'host-not-found')
  async list(
    @IdParam('hostId', 'host-not-found') hostId: string,
    @Query() query: PageQuery,
  ): Promise<SnapshotPageDto> {
    const { items, nextCursor } = await this.snapshots.list(hostId, query);
    return { items: items.map((snapshot) => new SnapshotItemDto(snapshot)), nextCursor };
  }

  @Get('compare')
  @HostId()
  @ApiOperation({
    summary: 'What drifted between two snapshots',
    description:
      'Free memory, page cache, fragmentation, marks, size of nodes, settings, residency of guests.',
  })
  @ApiOkResponse({ type: ComparisonDto })
  @ApiProblems('validation-failed', 'host-not-found', 'snapshot-not-found')
  async compare(
    @IdParam('hostId', 'host-not-found') hostId: string,
    @Query() { from, to }: CompareQuery,
  ): Promise<ComparisonDto> {
    return new ComparisonDto(await this.snapshots.compare(hostId, numberOf(from), numberOf(to)));
  }

  @Get(':number')
  @HostId()
  @ApiParam({ name: 'number', schema: { type: 'integer', minimum: 1 } })
  @ApiOperation({ summary: 'A snapshot with its model' })
  @ApiOkResponse({ type: SnapshotDto })
  @ApiProblems('host-not-found', 'snapshot-not-found')
  async get(
    @IdParam('hostId', 'host-not-found') hostId: string,
    @Param('number') number: string,
  ): Promise<SnapshotDto> {
    const wanted = /^[1-9]\d{0,8}$/.test(number) ? Number(number) : 0;
    return new SnapshotDto(await this.snapshots.get(hostId, wanted));
  }
}
