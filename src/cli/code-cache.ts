// The last step of the build: compiles the bundle once, so that the short commands need not. It writes V8's code
// cache, with the functions that `status` uses, beside the bundle. Both begin with the same line, a digest of the
// bundle, by which bin/gsyncd-ts.js checks that they belong together. V8 refuses a cache of another version; then the
// bundle is compiled like any file.

import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Script } from 'node:vm';
import { DEFAULTS_FILE } from '../config/places.js';
import type * as bundled from './main.js';

type Entry = (
  exports: Record<string, unknown>,
  require: NodeJS.Require,
  module: { exports: Partial<typeof bundled> },
) => void;

const BUNDLE = resolve(import.meta.dirname, 'main.cjs');

const source = readFileSync(BUNDLE, 'utf8').replace(/^\/\/ [0-9a-f]{64}\n/, '');
// The loader reads the bundle's bytes as characters, which is faster.
if (/[^\0-\x7f]/.test(source)) throw new Error(`${BUNDLE}: not ASCII`);
const id = `// ${createHash('sha256').update(source).digest('hex')}\n`;
writeFileSync(BUNDLE, id + source);

const script = new Script(`(function (exports, require, module) {${id}${source}})`, { filename: BUNDLE });
const module: Parameters<Entry>[2] = { exports: {} };
(script.runInThisContext() as Entry)(module.exports, createRequire(BUNDLE), module);
const sessionDir = mkdtempSync(join(tmpdir(), 'gsyncd-build-'));
// The command ends the process. Its result on this machine does not affect the build.
process.on('exit', () => {
  rmSync(sessionDir, { recursive: true });
  writeFileSync(`${BUNDLE}.cache`, Buffer.concat([Buffer.from(id), script.createCachedData()]));
  process.exitCode = 0;
});
const config = join(sessionDir, 'gsyncd.conf');
writeFileSync(
  config,
  `[vars]\nstate-file = ${sessionDir}/monitor.status\npid-file = ${sessionDir}/pid\nlog-file = -\n`,
);
const statusArgs = ['status', '-c', config, 'gv0', 'backup::sv0', '--local-path', '/bricks/b1'];
await module.exports.main?.(
  ['node', 'gsyncd-ts', ...(existsSync(DEFAULTS_FILE) ? statusArgs : ['--version'])],
  () => import('./full-cli.js'),
);
