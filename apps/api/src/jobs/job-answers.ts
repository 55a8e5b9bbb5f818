import { HttpException, Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import { prefersAsync, waitSecondsOf } from '../http/prefer';
import { Problem, ProblemException } from '../http/problem';
import { RESULT_PATHS } from './job-kinds';
import { accepted, JobDto } from './job.dto';
import type { Job } from './job.entity';
import { JobsService } from './jobs.service';

/** A job's stored error as the answer of the request that waited for it. */
class JobFailed extends ProblemException {
  constructor(problem: Problem) {
    super(problem.code, problem.detail, { path: problem.path, errors: problem.errors });
  }
}

/** Aborts when the caller goes away, or has its answer. */
function leaving(response: Response): AbortController {
  const left = new AbortController();
  response.once('close', () => {
    left.abort();
  });
  return left;
}

/** Answers a POST that made a job: at once with 202, or with the result when it is there in time. */
@Injectable()
export class JobAnswers {
  constructor(private readonly jobs: JobsService) {}

  /**
   * @param read reads the stored result by its id
   * @returns the result (201, Location of the result) when `Prefer: wait=N` is given and the job ends in
   *   time, else the job (202, Location of the job, Retry-After)
   * @throws HttpException the job's own error when it fails in time; job-final (409) when it is cancelled
   */
  async answer<T>(
    job: Job,
    request: Request,
    response: Response,
    read: (id: string) => Promise<T>,
  ): Promise<T | JobDto> {
    const seconds = waitSecondsOf(request.headers.prefer);
    const latest = seconds > 0 ? await this.wait(job, seconds, response) : job;
    if (latest.state === 'failed' && latest.error !== null) throw new JobFailed(latest.error);
    if (latest.state === 'cancelled') throw this.cancelled(latest);
    if (latest.state === 'succeeded' && latest.resultId !== null) {
      response.status(201);
      response.setHeader('Location', `${RESULT_PATHS[latest.kind]}/${latest.resultId}`);
      return read(latest.resultId);
    }
    const { status, headers, body } = accepted(latest);
    response.status(status);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    return body;
  }

  /**
   * Answers a POST that may be answered at once: with a job where the work is large or the caller prefers one.
   * @param ways how it is done at once (`signal`: the caller went away), handed over as a job, and read afterwards
   */
  async answerOrSubmit<T>(
    request: Request,
    response: Response,
    ways: {
      isLarge?: boolean;
      now: (signal: AbortSignal) => Promise<T>;
      submit: () => Promise<Job>;
      read: (id: string) => Promise<T>;
    },
  ): Promise<T | JobDto> {
    if (ways.isLarge === true || prefersAsync(request.headers.prefer)) {
      return this.answer(await ways.submit(), request, response, ways.read);
    }
    return ways.now(leaving(response).signal);
  }

  private async wait(job: Job, seconds: number, response: Response): Promise<Job> {
    const left = leaving(response);
    response.setHeader('Preference-Applied', `wait=${seconds}`);
    return this.jobs.waitForEnd(job.id, seconds, left.signal);
  }

  private cancelled(job: Job): HttpException {
    return new ProblemException('job-final', `The job ${job.id} was cancelled meanwhile.`, {
      path: 'jobId',
      headers: { Location: `/v1/jobs/${job.id}` },
    });
  }
}
