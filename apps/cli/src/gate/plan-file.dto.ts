import 'reflect-metadata';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayNotEmpty,
  IsArray,
  IsDefined,
  IsIn,
  IsInt,
  IsNumber,
  IsObject,
  IsOptional,
  IsString,
  Max,
  Min,
  ValidateNested,
} from 'class-validator';

/** Bounds of a plan file; larger plans are refused before anything is read. */
const MAX_DOMAINS = 256;
const MAX_CACHES = 1024;
const MAX_NODE_ID = 1023;
const MAX_MIB = 2 ** 35;

/** The host of a plan: files by name, or their contents inline, or a stored host model. */
export class PlanFileHostDto {
  /** Folder with the kernel's files under their own names (zoneinfo, buddyinfo, node0.meminfo, ...). */
  @IsOptional() @IsString() facts?: string;
  /** File with the output of `virsh capabilities`. */
  @IsOptional() @IsString() capabilities?: string;
  /** The same texts inline, by the field names of `POST /v1/hosts/import`. */
  @IsOptional() @IsObject() texts?: Record<string, unknown>;
  /** A host model as `GET /v1/hosts/{hostId}` answers it: a JSON file, or inline. */
  @IsOptional() model?: unknown;
}

export class PlanFileDomainDto {
  /** Domain XML file. */
  @IsString() xml: string;
  @IsOptional() @IsIn(['planned', 'running']) state?: 'planned' | 'running';
  /** Files that say where a running domain's pages are. */
  @IsOptional() @IsString() numaMaps?: string;
  @IsOptional() @IsString() smapsRollup?: string;
  @IsOptional() @IsString() numastat?: string;
}

export class PlanFileCacheDto {
  @IsInt() @Min(0) @Max(MAX_NODE_ID) node: number;
  @IsNumber() @Min(0) @Max(MAX_MIB) mib: number;
  @IsOptional() @IsIn(['read', 'write']) access?: 'read' | 'write';
}

export class PlanFileDemandDto {
  @IsOptional() @IsNumber() @Min(0) @Max(100) touchPercent?: number;
  @IsOptional() @IsNumber() @Min(1) @Max(MAX_MIB) rateMibPerSecond?: number;
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(MAX_DOMAINS)
  @IsString({ each: true })
  startOrder?: string[];
  @IsOptional()
  @IsObject()
  guests?: Record<string, { touchPercent?: number; diskCacheMib?: number }>;
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(MAX_CACHES)
  @ValidateNested({ each: true })
  @Type(() => PlanFileCacheDto)
  backgroundCache?: PlanFileCacheDto[];
}

export class PlanFileLimitsDto {
  @IsOptional() @IsNumber() @Min(0) @Max(1) maxRemoteShare?: number;
  @IsOptional() @IsNumber() @Min(0) maxStallMs?: number;
  @IsOptional() @IsNumber() @Min(0) maxSwapMib?: number;
}

/** A packing plan as a person writes it. Paths are relative to the plan file. */
export class PlanFileDto {
  @IsDefined()
  @ValidateNested()
  @Type(() => PlanFileHostDto)
  host: PlanFileHostDto;

  @IsArray()
  @ArrayNotEmpty()
  @ArrayMaxSize(MAX_DOMAINS)
  @ValidateNested({ each: true })
  @Type(() => PlanFileDomainDto)
  domains: PlanFileDomainDto[];

  @IsOptional() @ValidateNested() @Type(() => PlanFileDemandDto) demand?: PlanFileDemandDto;
  @IsOptional() @ValidateNested() @Type(() => PlanFileLimitsDto) limits?: PlanFileLimitsDto;
  /** Settings to judge the plan under instead of the host's own. */
  @IsOptional() @IsObject() sysctl?: Record<string, unknown>;
  @IsOptional() @IsInt() @Min(0) @Max(Number.MAX_SAFE_INTEGER) seed?: number;
}
