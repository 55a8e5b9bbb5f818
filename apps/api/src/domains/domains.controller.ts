import {
  Body,
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Param,
  Patch,
  Put,
  Query,
  Req,
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
import type { Request, Response } from 'express';
import { ApiProblems } from '../docs/api-problems';
import { domainExamples } from '../docs/examples';
import { Consumes } from '../http/content-type.guard';
import { PageQuery } from '../http/cursor';
import { etagOf, isNotModified } from '../http/etag';
import { MultipartFields, XmlAsField } from '../http/multipart';
import { ProblemException } from '../http/problem';
import { PutDomainDto, PutDomainQuery, UpdateDomainDto } from './domain-requests.dto';
import { DomainDto, DomainItemDto, DomainPageDto } from './domain-responses.dto';
import { DomainsService, PutOutcome } from './domains.service';

const IfMatch = () =>
  ApiHeader({
    name: 'If-Match',
    required: false,
    description: 'ETag of the version that the change is based on; another one answers 412.',
  });

@ApiTags('domains')
@ApiExtraModels(PutDomainDto)
@ApiParam({ name: 'hostId', description: 'Id of a stored host.' })
@Controller('v1/hosts/:hostId/domains')
export class DomainsController {
  constructor(private readonly domains: DomainsService) {}

  @Put(':name')
  @Consumes('application/xml', 'text/xml', 'multipart/form-data')
  @MultipartFields()
  @XmlAsField()
  @ApiOperation({
    summary: 'Store a domain, or replace it',
    description:
      'The body is the libvirt XML. For a running domain send multipart/form-data with the parts ' +
      '`xml` and `numaMaps` or `numastat` (and `smapsRollup`), or PATCH them later; without them its ' +
      'residency is estimated and marked so.',
  })
  @ApiParam({ name: 'name', example: 'db1', description: 'Must equal <name> in the document.' })
  @IfMatch()
  @ApiHeader({
    name: 'If-None-Match',
    required: false,
    description: '`*`: only if there is none yet.',
  })
  @ApiConsumes('application/xml', 'multipart/form-data')
  @ApiBody({
    required: true,
    // One body per media type: the decorator's own options know a single one.
    schema: { $ref: getSchemaPath(PutDomainDto) },
    examples: domainExamples,
  })
  @ApiCreatedResponse({ type: DomainDto, description: 'Stored; Location and ETag are set.' })
  @ApiOkResponse({ type: DomainDto, description: 'Replaced; ETag is set.' })
  @ApiProblems(
    'malformed-xml',
    'malformed-multipart',
    'validation-failed',
    'host-not-found',
    'length-required',
    'stale-etag',
    'body-too-large',
    'unsupported-media-type',
    'invalid-domain',
    'name-mismatch',
    'unknown-host-node',
    'invalid-residency',
  )
  async put(
    @Param('hostId') hostId: string,
    @Param('name') name: string,
    @Query() { state }: PutDomainQuery,
    @Body() body: PutDomainDto,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<DomainDto> {
    const outcome: PutOutcome = await this.domains.put(hostId, name, body, state, {
      ifMatch: request.headers['if-match'],
      ifNoneMatch: request.headers['if-none-match'],
    });
    const { domain, created } = outcome;
    response.status(created ? 201 : 200).setHeader('ETag', etagOf(domain.version));
    if (created) {
      response.setHeader('Location', `/v1/hosts/${hostId}/domains/${encodeURIComponent(name)}`);
    }
    return new DomainDto(domain, await this.domains.placement(domain));
  }

  @Get()
  @ApiOperation({ summary: 'List the domains of a host, oldest first' })
  @ApiOkResponse({ type: DomainPageDto })
  @ApiProblems('validation-failed', 'invalid-cursor', 'host-not-found')
  async list(@Param('hostId') hostId: string, @Query() query: PageQuery): Promise<DomainPageDto> {
    const { items, nextCursor } = await this.domains.list(hostId, query);
    return { items: items.map((domain) => new DomainItemDto(domain)), nextCursor };
  }

  @Get(':name')
  @ApiOperation({
    summary: 'A domain as its placement view, or its document as it was stored',
    description: '`Accept: application/json` (default) or `Accept: application/xml`.',
  })
  @ApiParam({ name: 'name', example: 'db1' })
  @ApiResponse({
    status: 200,
    description: 'ETag is set.',
    content: {
      'application/json': { schema: { $ref: getSchemaPath(DomainDto) } },
      'application/xml': { schema: { type: 'string' } },
    },
  })
  @ApiExtraModels(DomainDto)
  @ApiResponse({ status: 304, description: 'The known version is the stored one.' })
  @ApiProblems('host-not-found', 'domain-not-found', 'not-acceptable')
  async get(
    @Param('hostId') hostId: string,
    @Param('name') name: string,
    @Headers('if-none-match') ifNoneMatch: string | undefined,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<DomainDto | string | undefined> {
    const wanted = request.accepts(['application/json', 'application/xml', 'text/xml']);
    if (wanted === false) {
      throw new ProblemException(
        'not-acceptable',
        'A domain can be had as application/json or application/xml.',
        { path: 'Accept' },
      );
    }
    const domain = await this.domains.get(hostId, name);
    response.setHeader('ETag', etagOf(domain.version)).vary('Accept');
    if (isNotModified(ifNoneMatch, domain.version)) {
      response.status(304);
      return undefined;
    }
    if (wanted === 'application/json') {
      return new DomainDto(domain, await this.domains.placement(domain));
    }
    response.type(wanted);
    return domain.xml;
  }

  @Patch(':name')
  @Consumes('application/json', 'multipart/form-data')
  @MultipartFields()
  @IfMatch()
  @ApiOperation({
    summary: 'Change the state of a domain, or say where its memory is',
    description:
      'JSON with text fields, or multipart/form-data with parts `state`, `numaMaps`, `numastat`, `smapsRollup`.',
  })
  @ApiParam({ name: 'name', example: 'db1' })
  @ApiConsumes('application/json', 'multipart/form-data')
  @ApiBody({
    type: UpdateDomainDto,
    examples: { running: { summary: 'It was started', value: { state: 'running' } } },
  })
  @ApiOkResponse({ type: DomainDto, description: 'Changed; ETag is set.' })
  @ApiProblems(
    'malformed-json',
    'malformed-multipart',
    'validation-failed',
    'host-not-found',
    'domain-not-found',
    'length-required',
    'stale-etag',
    'body-too-large',
    'unsupported-media-type',
    'invalid-residency',
  )
  async update(
    @Param('hostId') hostId: string,
    @Param('name') name: string,
    @Body() body: UpdateDomainDto,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<DomainDto> {
    const domain = await this.domains.update(hostId, name, body, ifMatch);
    response.setHeader('ETag', etagOf(domain.version));
    return new DomainDto(domain, await this.domains.placement(domain));
  }

  @Delete(':name')
  @HttpCode(204)
  @IfMatch()
  @ApiOperation({ summary: 'Remove a domain' })
  @ApiParam({ name: 'name', example: 'db1' })
  @ApiNoContentResponse({ description: 'Removed.' })
  @ApiProblems('host-not-found', 'domain-not-found', 'stale-etag')
  remove(
    @Param('hostId') hostId: string,
    @Param('name') name: string,
    @Headers('if-match') ifMatch: string | undefined,
  ): Promise<void> {
    return this.domains.remove(hostId, name, ifMatch);
  }
}
