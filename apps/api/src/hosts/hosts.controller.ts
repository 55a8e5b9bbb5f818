import {
  Body,
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Param,
  Patch,
  Post,
  Query,
  Res,
} from '@nestjs/common';
import {
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiHeader,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiResponse,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import type { Response } from 'express';
import type { Collection } from '@zonewise/host-facts';
import { ApiProblems } from '../docs/api-problems';
import { createExamples, importExamples, inspectExamples } from '../docs/examples';
import type { Host } from '../database/entities/host.entity';
import { ARCHIVE_TYPES } from '../http/body-parsers';
import { Consumes } from '../http/content-type.guard';
import { PageQuery } from '../http/cursor';
import { etagOf, isNotModified } from '../http/etag';
import { MultipartFields, XmlAsField } from '../http/multipart';
import { Collected, NamedHostFields } from './archive-body';
import { hostCreated } from './created';
import {
  CreateHostDto,
  ImportHostDto,
  ImportHostQuery,
  InspectHostDto,
  UpdateHostDto,
} from './host-requests.dto';
import { HostDto, HostInspectionDto, HostItemDto, HostPageDto } from './host-responses.dto';
import { HostQuery, hostText } from './host-text';
import { hostViews } from './host-views';
import { HostsService } from './hosts.service';
import { inspectHost } from './read-host';

const BODY_PROBLEMS = [
  'malformed-json',
  'validation-failed',
  'body-too-large',
  'unsupported-media-type',
  'internal-error',
] as const;
const FACT_PROBLEMS = [
  'malformed-multipart',
  'malformed-xml',
  'invalid-capabilities',
  'invalid-facts',
  'length-required',
] as const;
const MULTIPART_NOTE =
  'As JSON, each source is a text field. As multipart/form-data, each is a file (or field) of the same ' +
  'name; per-node ones are named `node0.meminfo`, `node0.numastat` and so on.';
const ARCHIVE_NOTE =
  'An archive is one of `GET /v1/collector.sh`, or a sosreport as it is (tar, plain or packed with gzip, xz, bzip2 or zstd): as the body itself, or as the part ' +
  "`archive`. Its running guests are stored as domains; the name is `?name=`, else the host's own.";

const IfMatch = () =>
  ApiHeader({
    name: 'If-Match',
    required: false,
    description: 'ETag of the version that the change is based on; another one answers 412.',
  });
const HostId = () => ApiParam({ name: 'hostId', description: 'Id of a stored host.' });

@ApiTags('hosts')
@ApiExtraModels(HostDto, CreateHostDto, ImportHostDto, InspectHostDto)
@Controller('v1/hosts')
export class HostsController {
  constructor(private readonly hosts: HostsService) {}

  @Post()
  @ApiOperation({
    summary: 'Store a host in the canonical form',
    description: 'For hosts described by another program. `POST /v1/hosts/inspect` answers models.',
  })
  @ApiBody({ type: CreateHostDto, examples: createExamples })
  @ApiCreatedResponse({ type: HostDto, description: 'Stored; Location and ETag are set.' })
  @ApiProblems(...BODY_PROBLEMS, 'invalid-host-model', 'name-taken')
  async create(
    @Body() body: CreateHostDto,
    @Res({ passthrough: true }) response: Response,
  ): Promise<HostDto> {
    return created(await this.hosts.create(body), response);
  }

  @Post('import')
  @Consumes('application/json', 'multipart/form-data', ...ARCHIVE_TYPES)
  @NamedHostFields()
  @ApiOperation({
    summary: 'Store a host from what it printed',
    description: `${MULTIPART_NOTE} ${ARCHIVE_NOTE}`,
  })
  @ApiConsumes('application/json', 'multipart/form-data', ...ARCHIVE_TYPES)
  @ApiBody({ schema: { $ref: getSchemaPath(ImportHostDto) }, examples: importExamples })
  @ApiCreatedResponse({ type: HostDto, description: 'Stored; Location and ETag are set.' })
  @ApiProblems(...BODY_PROBLEMS, ...FACT_PROBLEMS, 'malformed-archive', 'queue-full', 'name-taken')
  async import(
    @Body() body: ImportHostDto,
    // Checked here; what reads the archive has taken them from the request itself.
    @Query() _query: ImportHostQuery,
    @Collected() collection: Collection | undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<HostDto> {
    return created(await this.hosts.import(body, collection), response);
  }

  @Post('inspect')
  @HttpCode(200)
  @Consumes('application/json', 'multipart/form-data', 'application/xml', 'text/xml')
  @MultipartFields()
  @XmlAsField('capabilities')
  @ApiOperation({
    summary: 'Read a host without storing it',
    description: `${MULTIPART_NOTE} A capabilities document alone is enough for its topology, also as a bare XML body.`,
  })
  @ApiConsumes('application/json', 'multipart/form-data', 'application/xml')
  @ApiBody({ schema: { $ref: getSchemaPath(InspectHostDto) }, examples: inspectExamples })
  @ApiOkResponse({ type: HostInspectionDto })
  @ApiProblems(...BODY_PROBLEMS, ...FACT_PROBLEMS)
  inspect(@Body() body: InspectHostDto): HostInspectionDto {
    const inspection = inspectHost(body);
    const { model } = inspection;
    return { ...inspection, views: model === null ? null : hostViews(model) };
  }

  @Get()
  @ApiOperation({ summary: 'List hosts, oldest first, without their models' })
  @ApiOkResponse({ type: HostPageDto })
  @ApiProblems('validation-failed', 'invalid-cursor')
  async list(@Query() query: PageQuery): Promise<HostPageDto> {
    const { items, nextCursor } = await this.hosts.list(query);
    return { items: items.map((host) => new HostItemDto(host)), nextCursor };
  }

  @Get(':hostId')
  @HostId()
  @ApiOperation({
    summary: 'A host with its model, zone table and fallback order',
    description:
      'With `format=text` as its kernel and tools print it: zones with marks and protection, free blocks, fragmentation, zonelists, node states, ranges of zones.',
  })
  @ApiHeader({ name: 'If-None-Match', required: false, description: 'An ETag that is known.' })
  @ApiOkResponse({
    description: 'ETag is set.',
    content: {
      'application/json': { schema: { $ref: getSchemaPath(HostDto) } },
      'text/plain': { schema: { type: 'string' } },
    },
  })
  @ApiResponse({ status: 304, description: 'The known version is the stored one.' })
  @ApiProblems('validation-failed', 'host-not-found')
  async get(
    @Param('hostId') hostId: string,
    @Query() { format, view }: HostQuery,
    @Headers('if-none-match') ifNoneMatch: string | undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<HostDto | string | undefined> {
    const host = await this.hosts.get(hostId);
    response.setHeader('ETag', etagOf(host.version));
    if (isNotModified(ifNoneMatch, host.version)) {
      response.status(304);
      return undefined;
    }
    if (format !== 'text') return new HostDto(host);
    response.type('text/plain');
    return hostText(host.model, await this.hosts.sourceTexts(hostId), view);
  }

  @Patch(':hostId')
  @HostId()
  @IfMatch()
  @ApiOperation({ summary: 'Change the name, the description or the model of a host' })
  @ApiBody({
    type: UpdateHostDto,
    examples: {
      description: { summary: 'A new description', value: { description: 'Rack 5, two sockets' } },
    },
  })
  @ApiOkResponse({ type: HostDto, description: 'Changed; ETag is set.' })
  @ApiProblems(
    ...BODY_PROBLEMS,
    'host-not-found',
    'stale-etag',
    'invalid-host-model',
    'unknown-host-node',
    'name-taken',
  )
  async update(
    @Param('hostId') hostId: string,
    @Body() body: UpdateHostDto,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<HostDto> {
    const host = await this.hosts.update(hostId, body, ifMatch);
    response.setHeader('ETag', etagOf(host.version));
    return new HostDto(host);
  }

  @Delete(':hostId')
  @HttpCode(204)
  @HostId()
  @IfMatch()
  @ApiOperation({ summary: 'Remove a host with its domains and everything computed for it' })
  @ApiNoContentResponse({ description: 'Removed.' })
  @ApiProblems('host-not-found', 'stale-etag')
  remove(
    @Param('hostId') hostId: string,
    @Headers('if-match') ifMatch: string | undefined,
  ): Promise<void> {
    return this.hosts.remove(hostId, ifMatch);
  }
}

function created(host: Host, response: Response): HostDto {
  const { headers, body } = hostCreated(host);
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  return body;
}
