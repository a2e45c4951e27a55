#!/usr/bin/env node
// Starts the built program, a bundle. What serves a volume gets a larger thread pool, which every call on a FUSE mount
// uses; it has to be asked for before anything uses the pool. And its memory shall be what it needs, not what V8 would
// let garbage grow to, which is three times that: garbage is collected when the heap has grown by 40 %. Commands that
// answer at once would pay for threads they do not use, for the module loader that this file, being CommonJS, does
// without, and for compiling what the build has compiled already (src/cli/code-cache.ts).
'use strict';
const DAEMONS = ['worker', 'monitor', 'secondary', '--monitor'];
if (process.argv.some((arg) => DAEMONS.includes(arg))) {
  process.env.UV_THREADPOOL_SIZE ??= '16';
  require('node:v8').setFlagsFromString('--heap-growing-percent=40');
  start(require('../dist/cli/main.cjs'));
} else {
  start(compiled(`${__dirname}/../dist/cli/main.cjs`) ?? require('../dist/cli/main.cjs'));
}

function start({ main }) {
  main(process.argv, () => import('../dist/cli/full-cli.js'));
}

/** The bundle's exports, run from the code cache; undefined where there is none, or it is another bundle's, or another
 *  Node's: then it is compiled as any file. */
function compiled(file) {
  const { readFileSync } = require('node:fs');
  const { Script } = require('node:vm');
  try {
    const source = readFileSync(file, 'latin1');
    const cache = readFileSync(`${file}.cache`);
    const id = source.slice(0, source.indexOf('\n') + 1);
    if (id === '' || cache.latin1Slice(0, id.length) !== id) return undefined;
    const script = new Script(`(function (exports, require, module) {${source}})`, {
      filename: file,
      cachedData: cache.subarray(id.length),
    });
    if (script.cachedDataRejected) return undefined;
    const module = { exports: {} };
    script.runInThisContext()(module.exports, require, module);
    return module.exports;
  } catch {
    return undefined;
  }
}
