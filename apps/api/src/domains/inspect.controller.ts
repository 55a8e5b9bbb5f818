import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../docs/api-problems';
import { domainExamples } from '../docs/examples';
import { Consumes } from '../http/content-type.guard';
import { XmlAsField } from '../http/multipart';
import { DomainXmlDto } from './domain-requests.dto';
import { DomainViewDto, publicView } from './domain-responses.dto';
import { readDomain } from './domains.service';

@ApiTags('domains')
@Controller('v1/domains')
export class DomainInspectController {
  @Post('inspect')
  @HttpCode(200)
  @Consumes('application/xml', 'text/xml')
  @XmlAsField()
  @ApiOperation({ summary: 'Read a domain document without storing it' })
  @ApiConsumes('application/xml')
  @ApiBody({ required: true, schema: { type: 'string' }, examples: domainExamples })
  @ApiOkResponse({ type: DomainViewDto })
  @ApiProblems(
    'malformed-xml',
    'validation-failed',
    'body-too-large',
    'unsupported-media-type',
    'invalid-domain',
  )
  inspect(@Body() { xml }: DomainXmlDto): DomainViewDto {
    return publicView(readDomain(xml));
  }
}
