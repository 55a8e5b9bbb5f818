import { plainToInstance, Transform } from 'class-transformer';
import {
  IsIn,
  IsInt,
  IsNotEmpty,
  IsOptional,
  IsString,
  Matches,
  Max,
  Min,
  validateSync,
} from 'class-validator';

/** Dependency injection token of the process's {@link Settings}. */
export const SETTINGS = Symbol('SETTINGS');

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type DatabaseSettings =
  { kind: 'sqlite'; path: string } | { kind: 'postgres'; url: string; poolSize?: number };

/** What the process was told to do; read once, from the environment. */
export interface Settings {
  host: string;
  /** 0 lets the system choose a free port. */
  port: number;
  database: DatabaseSettings;
  logLevel: LogLevel;
  bodyLimitBytes: number;
  /** Worker threads for replays; absent: chosen from the number of CPUs. */
  workers?: number;
  /** Longest time that a job may run; absent: 15 minutes. */
  jobLimitMs?: number;
}

/** A wrong environment variable. The message says what was found and what would be right. */
export class SettingsError extends Error {
  constructor(readonly problems: string[]) {
    super(problems.join('\n'));
    this.name = 'SettingsError';
  }
}

const asNumber = ({ value }: { value: unknown }): unknown =>
  typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : value;

/** The environment as people write it. */
class Environment {
  @IsString()
  @IsNotEmpty({ message: 'must be an address to listen on, such as 127.0.0.1 or 0.0.0.0' })
  HOST: string = '127.0.0.1';

  @Transform(asNumber)
  @IsInt({ message: 'must be a whole number from 0 (a free port) to 65535' })
  @Min(0, { message: 'must be a whole number from 0 (a free port) to 65535' })
  @Max(65535, { message: 'must be a whole number from 0 (a free port) to 65535' })
  PORT: number = 3000;

  @Matches(/^(sqlite:.+|postgres(ql)?:\/\/.+)$/, {
    message: 'must be sqlite:PATH or postgres://USER@HOST:PORT/DATABASE',
  })
  DATABASE_URL: string = 'sqlite:zonewise.sqlite';

  @IsIn(LOG_LEVELS, { message: `must be one of ${LOG_LEVELS.join(', ')}` })
  LOG_LEVEL: LogLevel = 'info';

  @Matches(/^[1-9]\d{0,11}(b|kb|mb)?$/i, {
    message: 'must be a size such as 20mb, 512kb or 1000000',
  })
  BODY_LIMIT: string = '20mb';

  @IsOptional()
  @Transform(asNumber)
  @IsInt({ message: 'must be a whole number from 1 to 256' })
  @Min(1, { message: 'must be a whole number from 1 to 256' })
  @Max(256, { message: 'must be a whole number from 1 to 256' })
  ZONEWISE_WORKERS?: number;

  @IsOptional()
  @Transform(asNumber)
  @IsInt({ message: 'must be a whole number of minutes from 1 to 1440' })
  @Min(1, { message: 'must be a whole number of minutes from 1 to 1440' })
  @Max(1440, { message: 'must be a whole number of minutes from 1 to 1440' })
  JOB_MINUTES?: number;
}

const NAMES = [
  'HOST',
  'PORT',
  'DATABASE_URL',
  'LOG_LEVEL',
  'BODY_LIMIT',
  'ZONEWISE_WORKERS',
  'JOB_MINUTES',
] as const;

/**
 * Reads the settings of the process. An empty variable counts as not set.
 * @throws SettingsError listing every wrong variable, never only the first
 */
export function loadSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const given: Record<string, string> = {};
  for (const name of NAMES) {
    const value = env[name];
    if (value !== undefined && value !== '') given[name] = value;
  }
  const environment = plainToInstance(Environment, given);
  const problems = validateSync(environment).map((error) => {
    const message = Object.values(error.constraints ?? {})[0] ?? 'is not valid';
    return `${error.property} ${message}; found ${shown(error.property, given[error.property])}`;
  });
  if (problems.length > 0) throw new SettingsError(problems);
  return {
    host: environment.HOST,
    port: environment.PORT,
    database: databaseSettings(environment.DATABASE_URL),
    logLevel: environment.LOG_LEVEL,
    bodyLimitBytes: bytesOf(environment.BODY_LIMIT),
    ...(environment.ZONEWISE_WORKERS === undefined
      ? {}
      : { workers: environment.ZONEWISE_WORKERS }),
    ...(environment.JOB_MINUTES === undefined
      ? {}
      : { jobLimitMs: environment.JOB_MINUTES * 60_000 }),
  };
}

/** A database address may carry a password: it never reaches a log. */
function shown(name: string, value: string | undefined): string {
  if (value === undefined) return 'nothing';
  return name === 'DATABASE_URL' ? `"${value.split(':')[0]}:..."` : `"${value}"`;
}

export function databaseSettings(url: string): DatabaseSettings {
  return url.startsWith('sqlite:')
    ? { kind: 'sqlite', path: url.slice('sqlite:'.length) }
    : { kind: 'postgres', url };
}

function bytesOf(size: string): number {
  const match = /^(\d+)(b|kb|mb)?$/i.exec(size);
  const units: Record<string, number> = { b: 1, kb: 1024, mb: 1024 * 1024 };
  return Number(match?.[1]) * (units[(match?.[2] ?? 'b').toLowerCase()] ?? 1);
}
