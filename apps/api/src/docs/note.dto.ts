import { ApiProperty } from '@nestjs/swagger';

/** A remark beside an answer: a caveat, an assumption. */
export class NoteDto {
  @ApiProperty({ example: 'residency-estimated' })
  code: string;

  @ApiProperty()
  message: string;
}
