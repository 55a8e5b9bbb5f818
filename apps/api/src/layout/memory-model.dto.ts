import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ArrayMinSize, IsIn, Matches } from 'class-validator';
import { ARCHITECTURE_NAMES, MEMORY_MODELS } from '@zonewise/simulator';
import type {
  ArchitectureName,
  ArchitectureZone,
  DeviceRange,
  DeviceZone,
  MemmapCost,
  MemoryModelName,
  MemoryRange,
  NodeSections,
  NodeStates,
  PagePlace,
  PhysicalZone,
} from '@zonewise/simulator';
import { MAX_CPUS, MAX_NODES, NestedList, Whole, WholeList } from '../http/field-decorators';
import { WhenGiven } from '../work/when-given';
import type { FrameConversion, MemoryModelView, Note } from './memory-model-view';

export const ZONES: ArchitectureZone[] = ['DMA', 'DMA32', 'Normal', 'HighMem', 'Movable', 'Device'];
/** 64 TiB of 4 KiB pages. */
const MAX_PFN = 2 ** 34;
const MAX_RANGES = 4096;
const MAX_FRAMES = 100;
const NODE = { max: MAX_NODES - 1 };
const MODEL_DOC = { enum: MEMORY_MODELS, example: 'sparsemem' };

export class MemoryModelQuery {
  @ApiPropertyOptional({
    ...MODEL_DOC,
    description: 'Default `sparsemem-vmemmap`, which x86-64 has used since 2.6.24.',
  })
  @WhenGiven()
  @IsIn(MEMORY_MODELS, { message: `must be one of ${MEMORY_MODELS.join(', ')}` })
  model?: MemoryModelName;

  @ApiPropertyOptional({
    type: String,
    example: '1048576',
    description: `Frames to convert to their \`struct page\` and back, up to ${MAX_FRAMES}, separated by commas.`,
  })
  @WhenGiven()
  @Matches(/^\d{1,11}(,\d{1,11}){0,99}$/, {
    message: `must be at most ${MAX_FRAMES} frame numbers of at most 11 digits, separated by commas`,
  })
  pfn?: string;
}

export class MemoryRangeDto implements MemoryRange {
  @Whole(NODE) nodeId: number;
  @Whole({ max: MAX_PFN, description: 'First frame.' }) startPfn: number;
  @Whole({ min: 1, max: MAX_PFN, description: 'Frames.' }) pages: number;
}

const MEMMAP_ON = ['memory', 'device'] as const;

export class DeviceRangeDto extends MemoryRangeDto implements DeviceRange {
  @ApiProperty({
    enum: MEMMAP_ON,
    description: 'Where the `struct page`s lie: in ordinary memory, or in the device itself.',
  })
  @IsIn(MEMMAP_ON, { message: `must be one of ${MEMMAP_ON.join(', ')}` })
  memmapOn: DeviceRange['memmapOn'];
}

export class NodeCpusDto {
  @Whole(NODE) nodeId: number;
  @WholeList({ max: MAX_CPUS - 1, maxItems: MAX_CPUS }) cpus: number[];
}

export class ComputeMemoryModelDto {
  @ApiProperty(MODEL_DOC)
  @IsIn(MEMORY_MODELS, { message: `must be one of ${MEMORY_MODELS.join(', ')}` })
  model: MemoryModelName;

  @ApiPropertyOptional({ enum: ARCHITECTURE_NAMES, description: 'Default `x86-64`.' })
  @WhenGiven()
  @IsIn(ARCHITECTURE_NAMES, { message: `must be one of ${ARCHITECTURE_NAMES.join(', ')}` })
  architecture?: ArchitectureName;

  @NestedList(() => MemoryRangeDto, MAX_RANGES, {
    description: 'Memory as firmware announces it; what lies between is a hole.',
  })
  @ArrayMinSize(1, { message: 'must have at least one range' })
  ranges: MemoryRangeDto[];

  @WhenGiven()
  @NestedList(() => NodeCpusDto, MAX_NODES, {
    required: false,
    description: 'CPUs of the nodes, for their states; a node without memory appears here alone.',
  })
  cpus?: NodeCpusDto[];

  @WhenGiven()
  @NestedList(() => DeviceRangeDto, MAX_RANGES, {
    required: false,
    description: 'Memory of devices (zone Device).',
  })
  devices?: DeviceRangeDto[];

  @WhenGiven()
  @WholeList({ ...NODE, maxItems: MAX_NODES, description: 'Nodes that could come online.' })
  possibleNodes?: number[];

  @WhenGiven()
  @WholeList({ max: MAX_PFN, maxItems: MAX_FRAMES, description: 'Frames to convert.' })
  pfns?: number[];
}

export class NodeStatesDto implements NodeStates {
  @ApiProperty({ type: [Number] }) N_POSSIBLE: number[];
  @ApiProperty({ type: [Number] }) N_ONLINE: number[];
  @ApiProperty({ type: [Number] }) N_NORMAL_MEMORY: number[];
  @ApiProperty({ type: [Number], description: 'As N_NORMAL_MEMORY where there is no HighMem.' })
  N_HIGH_MEMORY: number[];
  @ApiProperty({ type: [Number] }) N_MEMORY: number[];
  @ApiProperty({ type: [Number] }) N_CPU: number[];
}

class PhysicalZoneDto implements PhysicalZone {
  @ApiProperty() nodeId: number;
  @ApiProperty({ enum: ZONES }) zone: ArchitectureZone;
  @ApiProperty() startPfn: number;
  @ApiProperty({ description: 'With holes.' }) spannedPages: number;
  @ApiProperty({ description: 'Without holes.' }) presentPages: number;
  @ApiProperty({
    description:
      "A stored host's managed pages; for ranges, present less the memmap: the kernel image and early reservations take more.",
  })
  managedAtMostPages: number;
}

class DeviceZoneDto implements DeviceZone {
  @ApiProperty() nodeId: number;
  @ApiProperty({ enum: ['Device'] }) zone: 'Device';
  @ApiProperty() startPfn: number;
  @ApiProperty() spannedPages: number;
  @ApiProperty({ description: 'Always 0: device pages count for no mark and no reserve.' })
  presentPages: 0;
  @ApiProperty() managedPages: 0;
  @ApiProperty() memmapBytes: number;
  @ApiProperty({ enum: MEMMAP_ON }) memmapOn: DeviceRange['memmapOn'];
  @ApiProperty({ description: "Frames left to the device's user." }) usablePages: number;
}

class SectionRunDto {
  @ApiProperty() first: number;
  @ApiProperty() last: number;
}

export class NodeSectionsDto implements NodeSections {
  @ApiProperty() nodeId: number;
  @ApiProperty() spannedSections: number;
  @ApiProperty() presentSections: number;
  @ApiProperty({ type: [SectionRunDto], description: 'Numbers of sections, last included.' })
  runs: SectionRunDto[];
}

export class MemmapCostDto implements MemmapCost {
  @ApiProperty({ enum: MEMORY_MODELS }) model: MemoryModelName;
  @ApiProperty({ enum: ARCHITECTURE_NAMES }) architecture: string;
  @ApiProperty({ description: 'One; one per node; or one per section with memory.' })
  arrays: number;
  @ApiProperty() structPages: number;
  @ApiProperty() presentPages: number;
  @ApiProperty({ description: '`struct page`s without a frame behind them.' }) holePages: number;
  @ApiProperty() memmapBytes: number;
  @ApiProperty({ description: 'Part of memmapBytes that holes cost.' }) holeBytes: number;
  @ApiProperty({ description: 'Section entries.' }) tableBytes: number;
}

class PagePlaceDto implements PagePlace {
  @ApiProperty({ description: '0 for mem_map, a node, or a section.' }) array: number;
  @ApiProperty() index: number;
  @ApiPropertyOptional({ example: '0xffffea0004000000', description: 'vmemmap, not randomised.' })
  address?: string;
}

class FrameConversionDto implements FrameConversion {
  @ApiProperty() pfn: number;
  @ApiProperty() section: number;
  @ApiProperty({ type: PagePlaceDto, nullable: true, description: 'null: the model has none.' })
  place: PagePlace | null;
  @ApiProperty({ type: Number, nullable: true }) backToPfn: number | null;
}

export class LayoutNoteDto implements Note {
  @ApiProperty({ example: 'holes-assumed' }) code: string;
  @ApiProperty() message: string;
}

export class MemoryModelViewDto implements MemoryModelView {
  @ApiProperty({ enum: MEMORY_MODELS }) model: MemoryModelName;
  @ApiProperty({ enum: ARCHITECTURE_NAMES }) architecture: ArchitectureName;
  @ApiProperty({ example: 4096 }) pageBytes: number;
  @ApiProperty({ example: 134217728 }) sectionBytes: number;
  @ApiProperty({ example: 32768 }) pagesPerSection: number;
  @ApiProperty({ example: 64 }) structPageBytes: number;
  @ApiProperty({ description: 'One node.' }) uma: boolean;
  @ApiProperty({ type: NodeStatesDto }) nodeStates: NodeStates;
  @ApiProperty({ type: [PhysicalZoneDto] }) zones: PhysicalZone[];
  @ApiProperty({ type: [DeviceZoneDto] }) devices: DeviceZone[];
  @ApiProperty({ type: [NodeSectionsDto] }) sections: NodeSections[];
  @ApiProperty({ type: MemmapCostDto }) cost: MemmapCost;
  @ApiProperty({ type: [MemmapCostDto], description: 'The same memory under each model.' })
  comparison: MemmapCost[];
  @ApiProperty({ type: [FrameConversionDto] }) frames: FrameConversion[];
  @ApiProperty({ type: [LayoutNoteDto] }) caveats: Note[];
}
