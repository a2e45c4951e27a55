// The package that `npm pack` makes: what is in it, and that it installs and runs without this checkout.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { DEBIAN, get, put, REPO, root, STOCK } from './root.js';

const base = mkdtempSync(join(tmpdir(), 'package-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));
const { version } = JSON.parse(readFileSync(join(REPO, 'package.json'), 'utf8')) as { version: string };

it(
  'npm pack makes a package that installs globally, takes the place of the stock gsyncd and gives it back',
  { timeout: 180_000 },
  () => {
    // Other tests run what the build made: it is not made again here.
    const [packed] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', base], {
        cwd: REPO,
        encoding: 'utf8',
      }),
    ) as { filename: string; files: { path: string }[] }[];
    const paths = packed!.files.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining([
        'bin/gsyncd-ts.js',
        'dist/cli/main.cjs',
        'README.md',
        'LICENSE.GPL-2.0',
        'LICENSE.LGPL-3.0',
      ]),
    );
    expect(paths.filter((path) => /\.(map|ts)$|^test|node_modules/.test(path))).toEqual([]);

    const prefix = join(base, 'usr');
    mkdirSync(prefix);
    execFileSync(
      'npm',
      ['install', '--global', '--prefix', prefix, '--no-audit', '--no-fund', join(base, packed!.filename)],
      { cwd: base, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
      spawnSync(join(prefix, 'bin/gsyncd-ts'), args, { encoding: 'utf8', cwd: '/' });
    expect(run('-V')).toMatchObject({ status: 0, stdout: `gsyncd-ts ${version}\n`, stderr: '' });
    // The demo makes system calls with koffi: it must work where npm did not run koffi's install script.
    expect(run('demo', '--seconds', '1')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('demo: equal: ') as string,
    });
    put(DEBIAN, STOCK);
    expect(run('install', '--root', root)).toMatchObject({ status: 0, stderr: '' });
    expect(get(DEBIAN)).toContain(join(prefix, 'lib/node_modules/gsyncd-ts/bin/gsyncd-ts.js'));
    expect(run('install', '--uninstall', '--root', root)).toMatchObject({ status: 0, stderr: '' });
    expect(get(DEBIAN)).toBe(Buffer.from(STOCK, 'latin1').toString('latin1'));
  },
);
