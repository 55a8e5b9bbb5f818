import { Body, Controller, HttpCode, Post, Query } from '@nestjs/common';
import {
  ApiBody,
  ApiConsumes,
  ApiExtraModels,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import { checkStart } from '@zonewise/libvirt-xml';
import type { StartHost } from '@zonewise/libvirt-xml';
import { startHost, startHostOf } from '@zonewise/plan';
import { ApiProblems } from '../docs/api-problems';
import { domainExamples } from '../docs/examples';
import { Consumes } from '../http/content-type.guard';
import { MultipartFields, XmlAsField } from '../http/multipart';
import { HostsService } from '../hosts/hosts.service';
import { ProblemException } from '../http/problem';
import { readCapabilities } from '../hosts/read-host';
import { InspectDomainDto, InspectDomainQuery } from './domain-requests.dto';
import { DomainViewDto, DomainViewsDto, publicView } from './domain-responses.dto';
import { readDomains } from './domains.service';

@ApiTags('domains')
@ApiExtraModels(DomainViewDto, DomainViewsDto, InspectDomainDto)
@Controller('v1/domains')
export class DomainInspectController {
  constructor(private readonly hosts: HostsService) {}

  @Post('inspect')
  @HttpCode(200)
  @Consumes('application/xml', 'text/xml', 'multipart/form-data')
  @MultipartFields()
  @XmlAsField()
  @ApiOperation({
    summary: 'Read one or several domain documents without storing them',
    description:
      'Several documents may follow each other, as several `virsh dumpxml` print them, or be the children of one `<domains>`; the answer is then `domains`, in their order. ' +
      'With a host (`hostId`, or multipart/form-data with the parts `xml` and `capabilities`) `start` says what would keep ' +
      'each domain from starting there: nodes or CPUs that do not exist, huge pages that are not in the pools, memory that ' +
      'is not there, preferred with several nodes on an old kernel or libvirt.',
  })
  @ApiConsumes('application/xml', 'multipart/form-data')
  @ApiBody({
    required: true,
    schema: { $ref: getSchemaPath(InspectDomainDto) },
    examples: domainExamples,
  })
  @ApiOkResponse({
    schema: {
      oneOf: [{ $ref: getSchemaPath(DomainViewDto) }, { $ref: getSchemaPath(DomainViewsDto) }],
    },
  })
  @ApiProblems(
    'malformed-xml',
    'malformed-multipart',
    'length-required',
    'validation-failed',
    'host-not-found',
    'invalid-capabilities',
    'body-too-large',
    'unsupported-media-type',
    'invalid-domain',
  )
  async inspect(
    @Body() { xml, capabilities }: InspectDomainDto,
    @Query() query: InspectDomainQuery,
  ): Promise<DomainViewDto | DomainViewsDto> {
    const host = await this.hostOf(query, capabilities);
    const domains = readDomains(xml, query).map((view): DomainViewDto => {
      if (host === null) return publicView(view);
      const problems = checkStart(view, host);
      return { ...publicView(view), start: { possible: problems.length === 0, problems } };
    });
    const [domain, ...others] = domains;
    return domain !== undefined && others.length === 0 ? domain : { domains };
  }

  /** @throws ProblemException host-not-found, invalid-capabilities, validation-failed: two hosts */
  private async hostOf(
    { hostId, ...context }: InspectDomainQuery,
    capabilities: string | undefined,
  ): Promise<StartHost | null> {
    if (hostId !== undefined && capabilities !== undefined) {
      const message = 'Give either hostId or capabilities: a domain starts on one host.';
      throw new ProblemException('validation-failed', message, { path: 'hostId' });
    }
    if (capabilities !== undefined) return startHostOf(readCapabilities(capabilities), context);
    if (hostId === undefined) return null;
    const { model } = await this.hosts.get(hostId);
    return startHost(model, context);
  }
}
