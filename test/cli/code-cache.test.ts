// The build writes a V8 code cache beside the bundle. The program uses it, and a bad cache never changes which code runs.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const REPO = resolve(import.meta.dirname, '../..');
/** Prints for each script with cached data whether V8 rejected the data. */
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
    execFileSync(process.execPath, ['--require', join(copy, 'watch.cjs'), join(copy, 'bin/gsyncd-ts.js'), ...args], {
      encoding: 'utf8',
      cwd: '/',
    });

  test('is used by fast commands and by the start of all others', () => {
    expect(run('--version')).toBe('rejected false\ngsyncd.py 4.0.0\n');
    expect(run('help')).toContain('rejected false\nUsage: gsyncd-ts');
  });

  test('may be missing', () => {
    rmSync(cache);
    expect(run('--version')).toBe('gsyncd.py 4.0.0\n');
  });

  test('is rejected when it is damaged or from another version of V8', () => {
    const good = readFileSync(cache);
    for (const bad of [
      good.subarray(0, good.length - 1000),
      good.subarray(0, 70),
      Buffer.concat([good.subarray(0, 72), Buffer.alloc(good.length, 7)]),
    ]) {
      writeFileSync(cache, bad);
      expect(run('--version')).toBe('rejected true\ngsyncd.py 4.0.0\n');
    }
    writeFileSync(cache, '');
    expect(run('--version')).toBe('gsyncd.py 4.0.0\n');
  });

  test('is not used for another bundle, even of the same length', () => {
    const [id = '', ...code] = readFileSync(bundle, 'utf8').split('\n');
    writeFileSync(
      bundle,
      [id.replace(/.$/, (ch) => (ch === '0' ? '1' : '0')), ...code]
        .join('\n')
        .replace('gsyncd.py 4.0.0', 'gsyncd.py 9.9.9'),
    );
    expect(run('--version')).toBe('gsyncd.py 9.9.9\n');
    writeFileSync(bundle, code.join('\n').replace('gsyncd.py 4.0.0', 'gsyncd.py 8.8.8'));
    expect(run('--version')).toBe('gsyncd.py 8.8.8\n');
  });
});
