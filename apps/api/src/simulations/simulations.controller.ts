import { Body, Controller, Get, Header, Param, Post, Query, Req, Res } from '@nestjs/common';
import {
  ApiBody,
  ApiExtraModels,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import { STATE_FILES } from '@zonewise/host-facts';
import type { Request, Response } from 'express';
import { ApiProblems } from '../docs/api-problems';
import { PageQuery } from '../http/cursor';
import { JobAnswers } from '../jobs/job-answers';
import { ApiMakesJob } from '../jobs/job-docs';
import { JobDto } from '../jobs/job.dto';
import { IdParam } from '../work/id-param';
import { GuestDemandDto, NumatuneOverrideDto } from '../work/replay-options.dto';
import {
  CreateSimulationDto,
  SimulationDto,
  simulationDto,
  SimulationPageDto,
  simulationSummary,
} from './simulation.dto';
import { SimulationsService } from './simulations.service';
import { stateFile, stateFileExamples, StateFileQuery } from './state-files';

@ApiTags('simulations')
@ApiExtraModels(GuestDemandDto, NumatuneOverrideDto)
@Controller('v1')
export class SimulationsController {
  constructor(
    private readonly simulations: SimulationsService,
    private readonly answers: JobAnswers,
  ) {}

  @Post('hosts/:hostId/simulations')
  @ApiOperation({
    summary: "Replay the host's domains",
    description:
      'Running domains own their pages from the start; planned ones start one after another and touch their memory. The result is a record: later changes of the host or its domains do not change it.',
  })
  @ApiParam({ name: 'hostId', format: 'uuid' })
  @ApiBody({
    type: CreateSimulationDto,
    examples: {
      asStored: { summary: 'Everything as stored', value: {} },
      zoneReclaim: {
        summary: 'What if zone_reclaim_mode were 1',
        value: { sysctl: { zone_reclaim_mode: 1 }, seed: 1 },
      },
    },
  })
  @ApiMakesJob(SimulationDto, 'the simulation')
  async create(
    @IdParam('hostId', 'host-not-found') hostId: string,
    @Body() body: CreateSimulationDto,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<SimulationDto | JobDto> {
    const job = await this.simulations.submit(hostId, body);
    return this.answers.answer(job, request, response, (id) => this.read(id));
  }

  @Get('hosts/:hostId/simulations')
  @ApiOperation({ summary: "The host's simulations, oldest first, without their steps" })
  @ApiParam({ name: 'hostId', format: 'uuid' })
  @ApiOkResponse({ type: SimulationPageDto })
  @ApiProblems('validation-failed', 'invalid-cursor', 'host-not-found')
  async list(
    @IdParam('hostId', 'host-not-found') hostId: string,
    @Query() query: PageQuery,
  ): Promise<SimulationPageDto> {
    const { items, nextCursor } = await this.simulations.list(hostId, query);
    return { items: items.map(simulationSummary), nextCursor };
  }

  @Get('simulations/:simulationId')
  @ApiOperation({ summary: 'A simulation with every step' })
  @ApiParam({ name: 'simulationId', format: 'uuid' })
  @ApiOkResponse({ type: SimulationDto })
  @ApiProblems('simulation-not-found')
  get(@IdParam('simulationId', 'simulation-not-found') id: string): Promise<SimulationDto> {
    return this.read(id);
  }

  @Get('simulations/:simulationId/files/:name')
  @ApiParam({ name: 'simulationId', format: 'uuid' })
  @ApiParam({ name: 'name', enum: STATE_FILES, example: 'zoneinfo' })
  @ApiOperation({
    summary: 'The host at a step, as its kernel and tools would print it',
    description:
      "With the lines of the host's kernel, of numactl and of sysstat. `node-meminfo` is the meminfo of every node, `numastat-m` is `numastat -m`, `sar-b` is `sar -B` with one line per step. What is not modelled stays as the host printed it when it was imported, and is 0 for a host that was not imported or whose model was replaced since.",
  })
  @ApiOkResponse({
    content: { 'text/plain': { schema: { type: 'string' }, examples: stateFileExamples() } },
  })
  @ApiProblems('validation-failed', 'simulation-not-found', 'file-not-found')
  @Header('Content-Type', 'text/plain; charset=utf-8')
  async file(
    @IdParam('simulationId', 'simulation-not-found') id: string,
    @Param('name') name: string,
    @Query() { step }: StateFileQuery,
  ): Promise<string> {
    const printed = await this.simulations.printed(id);
    return stateFile(printed, name, step === undefined ? undefined : Number(step));
  }

  private async read(id: string): Promise<SimulationDto> {
    return simulationDto(await this.simulations.get(id));
  }
}
