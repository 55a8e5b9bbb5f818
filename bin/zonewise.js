#!/usr/bin/env node
'use strict';
// In a checkout, installs and builds what is missing or changed, so that `npx zonewise` works at once; then hands over.
const { spawnSync } = require('node:child_process');
const { existsSync } = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '..');
const main = join(root, 'dist', 'apps', 'cli', 'src', 'main.js');
// Asking for help is answered at once by what is built, even if the sources are newer.
const asksForHelp = process.argv.slice(2).some((word) => ['help', '-h', '--help'].includes(word));
if (existsSync(join(root, 'scripts', 'run.mjs')) && !(asksForHelp && existsSync(main))) {
  // Its messages go to stderr: stdout belongs to the command, whose output may be JSON.
  const { status } = spawnSync(process.execPath, [join(root, 'scripts', 'run.mjs'), 'ready'], {
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) process.exit(1);
}
require(main);
