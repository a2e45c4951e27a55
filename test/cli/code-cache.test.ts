// The code cache that the build leaves beside the bundle: it is used, and whatever is wrong with it, the program that
// runs is the bundle as it stands.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const REPO = resolve(import.meta.dirname, '../..');
/** Prints for each script that comes with cached data whether V8 took it. */
const WATCH = `const vm = require('node:vm');
vm.Script = class extends vm.Script { constructor(source, options) { super(source, options); if (options.cachedData) console.log('rejected', this.cachedDataRejected); } };`;

describe('the code cache', () => {
  let copy: string;
  let bundle: string;
  let cache: string;

  beforeEach(() => {
    copy = mkdtempSync(join(tmpdir(), 'gsyncd-code-cache-'));
    for (const name of ['bin', 'dist']) cpSync(join(REPO, name), join(copy, name), { recursive: true });
    cpSync(join(REPO, 'package.json'), join(copy, 'package.json'));
    symlinkSync(join(REPO, 'node_modules'), join(copy, 'node_modules'));
    writeFileSync(join(copy, 'watch.cjs'), WATCH);
    bundle = join(copy, 'dist/cli/main.cjs');
    cache = `${bundle}.cache`;
  });
  afterEach(() => rmSync(copy, { recursive: true, force: true }));

  const run = (...args: string[]): string =>
    execFileSync(process.execPath, ['--require', join(copy, 'watch.cjs'), join(copy, 'bin/gsyncd-ts.js'), ...args], { encoding: 'utf8', cwd: '/' });

  test('is used for the short commands, also on the way to the others', () => {
    expect(run('--version')).toBe('rejected false\ngsyncd.py 4.0.0\n');
    expect(run('help')).toContain('rejected false\nUsage: gsyncd-ts');
  });

  test('is not needed', () => {
    rmSync(cache);
    expect(run('--version')).toBe('gsyncd.py 4.0.0\n');
  });

  test('is refused when it is damaged or another version of V8 made it', () => {
    const good = readFileSync(cache);
    for (const bad of [good.subarray(0, good.length - 1000), good.subarray(0, 70), Buffer.concat([good.subarray(0, 72), Buffer.alloc(good.length, 7)])]) {
      writeFileSync(cache, bad);
      expect(run('--version')).toBe('rejected true\ngsyncd.py 4.0.0\n');
    }
    writeFileSync(cache, '');
    expect(run('--version')).toBe('gsyncd.py 4.0.0\n');
  });

  test('is not used for another bundle, of the same length too', () => {
    const [id = '', ...code] = readFileSync(bundle, 'utf8').split('\n');
    writeFileSync(bundle, [id.replace(/.$/, (ch) => (ch === '0' ? '1' : '0')), ...code].join('\n').replace('gsyncd.py 4.0.0', 'gsyncd.py 9.9.9'));
    expect(run('--version')).toBe('gsyncd.py 9.9.9\n');
    writeFileSync(bundle, code.join('\n').replace('gsyncd.py 4.0.0', 'gsyncd.py 8.8.8'));
    expect(run('--version')).toBe('gsyncd.py 8.8.8\n');
  });
});
