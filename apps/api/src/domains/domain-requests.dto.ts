import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsNotEmpty, IsString, Matches, MaxLength } from 'class-validator';
import { applyDecorators } from '@nestjs/common';
import { DOMAIN_STATES, DomainState } from '../database/entities/domain.entity';
import { WhenGiven } from '../work/when-given';
import type { ResidencyTexts } from '@zonewise/plan';

const MAX_TEXT = 16 * 1024 * 1024;

const Text = (description: string) =>
  applyDecorators(
    ApiPropertyOptional({ description }),
    WhenGiven(),
    IsString({ message: 'must be the text of the file' }),
    MaxLength(MAX_TEXT, { message: `must have at most ${MAX_TEXT} characters` }),
  );

/** Where the memory of a running domain is. */
export class ResidencyDto implements ResidencyTexts {
  @Text('/proc/PID/numa_maps of the QEMU process.') numaMaps?: string;
  @Text('`numastat -p PID`, when numa_maps is not at hand.') numastat?: string;
  @Text('/proc/PID/smaps_rollup: huge pages and swap.') smapsRollup?: string;
}

/** A document alone. */
export class DomainXmlDto {
  @ApiProperty({ description: 'The libvirt domain document, as `virsh dumpxml` prints it.' })
  @IsString({ message: 'must be the domain document' })
  @IsNotEmpty({ message: 'must be the domain document' })
  xml: string;
}

/** A document, and the host that it is to start on. */
export class InspectDomainDto extends DomainXmlDto {
  @Text('`virsh capabilities` of the host that the domain is to start on.') capabilities?: string;
}

export class InspectDomainQuery {
  @ApiPropertyOptional({
    format: 'uuid',
    description: 'A stored host: `start` then says whether the domain could be started on it now.',
  })
  @WhenGiven()
  @IsString()
  hostId?: string;

  @ApiPropertyOptional({
    example: '5.14.0-70.el9',
    description: 'Kernel of the host where its description names none: rules of old kernels.',
  })
  @WhenGiven()
  @Matches(/^[0-9]{1,3}\.[0-9]{1,5}[A-Za-z0-9._+-]{0,100}$/, { message: 'must be like 6.1.0-30' })
  kernelRelease?: string;

  @ApiPropertyOptional({
    example: '9.0.0',
    description: 'The libvirt that is to read the document: rules that came later are not applied.',
  })
  @WhenGiven()
  @Matches(/^[0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,3})?$/, { message: 'must be like 9.4.0' })
  libvirtVersion?: string;
}

export class PutDomainDto extends ResidencyDto {
  @ApiProperty({ description: 'The libvirt domain document, as `virsh dumpxml` prints it.' })
  @IsString({ message: 'must be the domain document' })
  @IsNotEmpty({ message: 'must be the domain document' })
  xml: string;
}

export class PutDomainQuery {
  @ApiPropertyOptional({
    enum: DOMAIN_STATES,
    description:
      'running: its memory is already part of the numbers of the host. Default: as stored, `planned` for a new domain.',
  })
  @WhenGiven()
  @IsIn(DOMAIN_STATES, { message: `must be one of ${DOMAIN_STATES.join(', ')}` })
  state?: DomainState;
}

export class UpdateDomainDto extends ResidencyDto {
  @ApiPropertyOptional({ enum: DOMAIN_STATES })
  @WhenGiven()
  @IsIn(DOMAIN_STATES, { message: `must be one of ${DOMAIN_STATES.join(', ')}` })
  state?: DomainState;
}
