#!/usr/bin/env node
// Starts the built program, a bundle. A process that serves a volume gets a larger thread pool, since every call on a FUSE
// mount uses it. The size must be set before anything uses the pool. V8 lets the heap of such a process grow to three times
// the live data before it collects garbage, so the growth is limited to 40 %.
'use strict';
const DAEMONS = ['worker', 'monitor', 'secondary', '--monitor'];
if (process.argv.some((arg) => DAEMONS.includes(arg))) {
  process.env.UV_THREADPOOL_SIZE ??= '16';
  require('node:v8').setFlagsFromString('--heap-growing-percent=40');
}
require('../dist/cli/main.cjs').main(process.argv, () => import('../dist/cli/full-cli.js'));
