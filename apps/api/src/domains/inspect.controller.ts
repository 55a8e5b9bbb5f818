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
import { ApiProblems } from '../docs/api-problems';
import { domainExamples } from '../docs/examples';
import { Consumes } from '../http/content-type.guard';
import { XmlAsField } from '../http/multipart';
import { DomainXmlDto, InspectDomainQuery } from './domain-requests.dto';
import { DomainViewDto, DomainViewsDto, publicView } from './domain-responses.dto';
import { readDomains } from './domains.service';

@ApiTags('domains')
@ApiExtraModels(DomainViewDto, DomainViewsDto)
@Controller('v1/domains')
export class DomainInspectController {
  @Post('inspect')
  @HttpCode(200)
  @Consumes('application/xml', 'text/xml')
  @XmlAsField()
  @ApiOperation({
    summary: 'Read one or several domain documents without storing them',
    description:
      'Several documents may follow each other, as several `virsh dumpxml` print them, or be the children of one `<domains>`; the answer is then `domains`, in their order.',
  })
  @ApiConsumes('application/xml')
  @ApiBody({ required: true, schema: { type: 'string' }, examples: domainExamples })
  @ApiOkResponse({
    schema: {
      oneOf: [{ $ref: getSchemaPath(DomainViewDto) }, { $ref: getSchemaPath(DomainViewsDto) }],
    },
  })
  @ApiProblems(
    'malformed-xml',
    'validation-failed',
    'body-too-large',
    'unsupported-media-type',
    'invalid-domain',
  )
  inspect(
    @Body() { xml }: DomainXmlDto,
    @Query() query: InspectDomainQuery,
  ): DomainViewDto | DomainViewsDto {
    const [view, ...others] = readDomains(xml, query).map(publicView);
    return view !== undefined && others.length === 0
      ? view
      : { domains: view === undefined ? [] : [view, ...others] };
  }
}
