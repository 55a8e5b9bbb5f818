import type { Response } from 'express';
import type { JobEvents } from './job-events';
import { jobDto } from './job.dto';
import { isFinal } from './job.entity';
import type { JobsService } from './jobs.service';

/** Comments that keep proxies from closing a quiet stream, and that reveal a reader who is gone. */
const HEARTBEAT_MS = 15_000;

/**
 * Sends a job's events until it ends: `state` with the whole job at the beginning and at every change,
 * `progress` in between. The stream ends after a final state, when the reader leaves and when the
 * process stops; a slow reader is spared progress, never states.
 * @throws ProblemException job-not-found (404), before anything is sent
 */
export async function streamJob(
  jobId: string,
  response: Response,
  jobs: JobsService,
  events: JobEvents,
): Promise<void> {
  let opened = false;
  let congested = false;
  let sending: Promise<void> = Promise.resolve();

  const send = (event: string, data: unknown): void => {
    if (!response.writable) return;
    congested = !response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  const sendState = async (): Promise<void> => {
    const job = await jobs.get(jobId);
    if (!opened) open();
    send('state', jobDto(job));
    if (isFinal(job.state)) response.end();
  };
  const open = (): void => {
    opened = true;
    response.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    });
  };

  const unsubscribe = events.subscribe(jobId, (event) => {
    if (event.type === 'progress') {
      const { progress, message } = event;
      if (opened && !congested) send('progress', { progress, message });
    } else if (event.type === 'state') {
      // One after the other, so that states arrive in their order.
      sending = sending.then(sendState).catch(() => {
        response.end();
      });
    } else response.end();
  });
  const heartbeat = setInterval(() => {
    if (opened) response.write(': heartbeat\n\n');
  }, HEARTBEAT_MS);
  response.on('drain', () => {
    congested = false;
  });
  response.on('close', () => {
    unsubscribe();
    clearInterval(heartbeat);
  });

  const first = sendState();
  sending = first.catch(() => undefined);
  try {
    await first;
  } catch (error) {
    unsubscribe();
    clearInterval(heartbeat);
    throw error;
  }
}
