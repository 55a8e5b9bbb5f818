import { loadSettings, SettingsError } from './settings';

const problemsOf = (env: Record<string, string>): string[] => {
  try {
    loadSettings(env);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
};

it('has defaults that need nothing else', () => {
  expect(loadSettings({})).toEqual({
    host: '127.0.0.1',
    port: 3000,
    database: { kind: 'sqlite', path: 'zonewise.sqlite' },
    logLevel: 'info',
    bodyLimitBytes: 20 * 1024 * 1024,
  });
  expect(loadSettings({ PORT: '', HOST: '' })).toEqual(loadSettings({}));
});

it('reads every variable', () => {
  const settings = loadSettings({
    HOST: '0.0.0.0',
    PORT: '0',
    DATABASE_URL: 'postgres://user:secret@db/zonewise',
    LOG_LEVEL: 'warn',
    BODY_LIMIT: '512KB',
    ZONEWISE_WORKERS: '3',
    JOB_MINUTES: '90',
  });
  expect(settings).toEqual({
    host: '0.0.0.0',
    port: 0,
    database: { kind: 'postgres', url: 'postgres://user:secret@db/zonewise' },
    logLevel: 'warn',
    bodyLimitBytes: 512 * 1024,
    workers: 3,
    jobLimitMs: 90 * 60 * 1000,
  });
});

it.each([
  ['PORT', '70000'],
  ['PORT', '-1'],
  ['PORT', '80.5'],
  ['PORT', 'http'],
  ['DATABASE_URL', 'mysql://x'],
  ['DATABASE_URL', 'sqlite:'],
  ['LOG_LEVEL', 'loud'],
  ['BODY_LIMIT', '20 gallons'],
  ['BODY_LIMIT', '0'],
  ['ZONEWISE_WORKERS', '0'],
  ['ZONEWISE_WORKERS', 'many'],
  ['JOB_MINUTES', '0'],
  ['JOB_MINUTES', '1441'],
])('refuses %s=%s and says what is right', (name, value) => {
  const [problem, ...others] = problemsOf({ [name]: value });
  expect(others).toEqual([]);
  expect(problem).toMatch(new RegExp(`^${name} must be .*; found "`));
});

it('names every wrong variable at once, and never a password', () => {
  const problems = problemsOf({ PORT: 'x', DATABASE_URL: 'postgre://user:secret@db/x' });
  expect(problems).toHaveLength(2);
  expect(problems.join()).not.toContain('secret');
});
