// Bundles a test's script from the current sources, to run it in a separate process.

import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

/** Bundles `script`, whose imports from `src/` begin with `/src/`, into `dir`. @returns the path of the bundle */
export function childScript(dir: string, script: string): string {
  const root = new URL('..', import.meta.url).pathname;
  const outfile = join(dir, 'script.mjs');
  mkdirSync(dir, { recursive: true });
  if (!existsSync(join(dir, 'node_modules'))) symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'));
  const contents = script.replaceAll("from '/src/", `from '${root}src/`);
  buildSync({
    stdin: { contents, resolveDir: root },
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    outfile,
  });
  return outfile;
}
