import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import {
  architectures,
  KERNEL_NAMES,
  kernelProfileOf,
  kernelProfiles,
  type KernelProfile,
} from '@zonewise/simulator';
import { ApiProblems } from '../docs/api-problems';
import { HostsService } from '../hosts/hosts.service';
import { ProblemException } from '../http/problem';
import { IdParam } from '../work/id-param';
import { failedRequestExample, highmemExample } from './watermark-examples';
import {
  ComputeWatermarksDto,
  KernelProfilesDto,
  WatermarksQuery,
  WatermarksViewDto,
} from './watermarks.dto';
import {
  hostWatermarksView,
  profileOfHost,
  watermarksView,
  type WatermarksView,
} from './watermarks-view';

@ApiTags('layout')
@Controller('v1')
export class WatermarksController {
  constructor(private readonly hosts: HostsService) {}

  @Get('kernel-profiles')
  @ApiOperation({
    summary: 'Kernels whose formulas are known',
    description:
      'Replays follow one of the validated ones, as the host model says, whatever a host runs.',
  })
  @ApiOkResponse({ type: KernelProfilesDto })
  profiles(): KernelProfilesDto {
    return { items: KERNEL_NAMES.map((name) => profileDto(kernelProfiles[name])) };
  }

  @Get('hosts/:hostId/watermarks')
  @ApiParam({ name: 'hostId', format: 'uuid' })
  @ApiOperation({
    summary: "A host's marks and reserves under a kernel",
    description:
      'Computed from the sizes of its zones beside what it printed. Only 5.10, 6.1.y and 6.12 are held against recordings; `profile.validated` and `caveats` say so of the others.',
  })
  @ApiOkResponse({ type: WatermarksViewDto })
  @ApiProblems('validation-failed', 'invalid-parameter', 'host-not-found')
  async ofHost(
    @IdParam('hostId', 'host-not-found') hostId: string,
    @Query() { kernel, settings }: WatermarksQuery,
  ): Promise<WatermarksView> {
    const { model } = await this.hosts.get(hostId);
    const profile = kernel === undefined ? profileOfHost(model) : profileNamed(kernel);
    return hostWatermarksView(model, profile, settings ?? 'host');
  }

  @Post('watermarks/compute')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Marks, reserves and a watermark check from the lines of a log',
    description:
      'For zones of any known architecture and kernel. With `request` each zone is asked whether it would have served it, at the low mark and at min, with every number compared.',
  })
  @ApiBody({
    type: ComputeWatermarksDto,
    examples: { failedRequest: failedRequestExample, highmem: highmemExample },
  })
  @ApiOkResponse({ type: WatermarksViewDto })
  @ApiProblems(
    'malformed-json',
    'validation-failed',
    'invalid-parameter',
    'body-too-large',
    'unsupported-media-type',
  )
  compute(@Body() body: ComputeWatermarksDto): WatermarksView {
    const { minFreeKbytes, watermarkScaleFactor, lowmemReserveRatio } = body;
    const { percpuPagelistHighFraction } = body;
    const architecture = body.architecture ?? 'x86-64';
    checkZones(body);
    return watermarksView({
      profile: profileNamed(body.kernel),
      architecture,
      zones: body.zones.map(({ nodeId = 0, managedPages, ...zone }) => ({
        ...zone,
        nodeId,
        managedPages: managedPages ?? zone.presentPages,
      })),
      cpus: body.cpus ?? [],
      thpEnabled: body.thpEnabled ?? false,
      settings: {
        ...(minFreeKbytes === undefined ? {} : { minFreeKbytes }),
        ...(watermarkScaleFactor === undefined ? {} : { watermarkScaleFactor }),
        ...(lowmemReserveRatio === undefined ? {} : { lowmemReserveRatio }),
        ...(percpuPagelistHighFraction === undefined ? {} : { percpuPagelistHighFraction }),
      },
      settingsFrom: 'request',
      ...(body.distances === undefined ? {} : { distances: body.distances }),
      ...(body.request === undefined ? {} : { request: body.request }),
    });
  }
}

/** @throws ProblemException invalid-parameter for a kernel whose formulas are not known */
function profileNamed(kernel: string): KernelProfile {
  const match = kernelProfileOf(kernel);
  if (match?.exact === true) return match.profile;
  throw new ProblemException(
    'invalid-parameter',
    `kernel: the formulas of ${JSON.stringify(kernel)} are not known; known are ${KERNEL_NAMES.join(', ')} and their releases.`,
    { path: 'kernel' },
  );
}

function refuse(path: string, message: string): never {
  const errors = [{ code: 'invalid-field', path, message }];
  throw new ProblemException('validation-failed', `${path}: ${message}.`, { errors });
}

function checkZones({ architecture = 'x86-64', zones, request, distances }: ComputeWatermarksDto) {
  const names = architectures[architecture].zones.map(({ name }) => name);
  const seen = new Set<string>();
  zones.forEach(({ nodeId = 0, zone, presentPages, managedPages = 0 }, i) => {
    const path = `zones[${i}]`;
    if (zone === 'Device' || !names.includes(zone)) {
      refuse(`${path}.zone`, `${architecture} has no zone ${zone} with marks`);
    }
    if (managedPages > presentPages) refuse(`${path}.managedPages`, 'is more than presentPages');
    const key = `${nodeId} ${zone}`;
    if (seen.has(key)) refuse(path, `node ${nodeId} has zone ${zone} already`);
    seen.add(key);
  });
  if (request !== undefined && !names.includes(request.zone)) {
    refuse('request.zone', `${architecture} has no zone ${request.zone}`);
  }
  const size = distances?.nodeIds.length ?? 0;
  const square = distances?.matrix.every((row) => row.length === size) ?? true;
  if (!square || (distances?.matrix.length ?? 0) !== size) {
    refuse('distances.matrix', 'must have a row and a column for each of nodeIds');
  }
}

function profileDto(profile: KernelProfile): KernelProfilesDto['items'][number] {
  const { name, validated, departures, minFreeKbytesCap, watermarkScaleFactorMax } = profile;
  const { swappinessMax, pageBasis, watermarkCheck, pcpHigh } = profile;
  const { zoneReclaimByDistance, reclaimDistance, defaultSysctls } = profile;
  return {
    name,
    validated,
    departures,
    minFreeKbytesCap,
    watermarkScaleFactorMax,
    swappinessMax,
    pageBasis,
    watermarkCheck,
    pcpHigh,
    zoneReclaimByDistance,
    reclaimDistance,
    defaultSysctls,
  };
}
