#!/usr/bin/env node
// Starts the built program, a bundle. What serves a volume gets a larger thread pool, which every call on a FUSE mount
// uses; it has to be asked for before anything uses the pool. And its memory shall be what it needs, not what V8 would
// let garbage grow to, which is three times that: garbage is collected when the heap has grown by 40 %. Commands that
// answer at once would pay for threads they do not use, and for the module loader that this file, being CommonJS, does
// without.
'use strict';
const DAEMONS = ['worker', 'monitor', 'secondary', '--monitor'];
if (process.argv.some((arg) => DAEMONS.includes(arg))) {
  process.env.UV_THREADPOOL_SIZE ??= '16';
  require('node:v8').setFlagsFromString('--heap-growing-percent=40');
}
require('../dist/cli/main.cjs').main(process.argv);
