import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';

/** Documentation of one entry of a problem's `errors`. */
export class ProblemErrorDto {
  @ApiProperty({ example: 'unknown-mode' })
  code: string;

  @ApiProperty({ example: '/domain/numatune/memory/@mode' })
  path: string;

  @ApiProperty()
  message: string;

  @ApiPropertyOptional({ example: 12, description: '1-based.' })
  line?: number;

  @ApiPropertyOptional({ example: 5, description: '1-based.' })
  column?: number;

  @ApiPropertyOptional()
  expected?: string;

  @ApiPropertyOptional()
  found?: string;
}

/** Documentation of application/problem+json (RFC 9457). */
export class ProblemDto extends ProblemErrorDto {
  @ApiProperty({ example: 'urn:zonewise:problem:host-not-found' })
  type: string;

  @ApiProperty({ example: 'There is no such host' })
  title: string;

  @ApiProperty({ example: 404 })
  status: number;

  @ApiProperty({ example: 'No host has the id 4b3c.' })
  detail: string;

  @ApiProperty({ example: '/v1/hosts/4b3c' })
  instance: string;

  @ApiProperty({ example: 'host-not-found', description: 'Stable; listed in errors.md.' })
  declare code: string;

  @ApiPropertyOptional({ example: 'hostId' })
  declare path: string;

  @ApiPropertyOptional({ type: [ProblemErrorDto], description: 'Everything found, up to 100.' })
  errors?: ProblemErrorDto[];
}
