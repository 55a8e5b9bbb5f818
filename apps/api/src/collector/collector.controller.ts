import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Controller, Get, Header } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';

/** The build copies it beside the compiled file. */
export const COLLECTOR_PATH = join(__dirname, 'collector.sh');

@ApiTags('hosts')
@Controller('v1/collector.sh')
export class CollectorController {
  private readonly script = readFileSync(COLLECTOR_PATH, 'utf8');

  @Get()
  @Header('Content-Type', 'text/x-shellscript; charset=utf-8')
  @ApiOperation({
    summary: 'Script that gathers a host into an archive for import',
    description:
      'For a POSIX shell; needs coreutils only, and reads only. `sh collector.sh > host.tar` as root; what it could not read it says on standard error, and the import in caveats.',
  })
  @ApiProduces('text/x-shellscript')
  @ApiOkResponse({ schema: { type: 'string' } })
  get(): string {
    return this.script;
  }
}
