// Runs python-config.py, which gives the expected values of a configuration file.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

export type PythonIni = { readonly error: string } | { readonly sections: [string, [string, string][]][] };

export interface GconfCase {
  readonly defaults: string;
  readonly session: string | null;
  readonly args: Record<string, string | number | boolean | null>;
  readonly extra: Record<string, string>;
}

/** Directory of the stock daemon's modules, undefined where it is not installed. */
export const syncdaemon = [
  '/usr/libexec/glusterfs/python/syncdaemon',
  '/usr/lib/glusterfs/python/syncdaemon',
  ...['aarch64', 'x86_64'].map((cpu) => `/usr/lib/${cpu}-linux-gnu/glusterfs/python/syncdaemon`),
].find((dir) => existsSync(`${dir}/gsyncdconfig.py`));

function ask(request: object): unknown {
  const script = new URL('python-config.py', import.meta.url).pathname;
  const input = JSON.stringify(request);
  return JSON.parse(
    execFileSync('python3', ['-B', script], {
      input,
      maxBuffer: 64 << 20,
      stdio: ['pipe', 'pipe', 'ignore'],
    }).toString(),
  );
}

/** Parses each text with RawConfigParser. */
export function pythonIni(texts: readonly string[]): PythonIni[] {
  return ask({ kind: 'ini', cases: texts }) as PythonIni[];
}

/** The stock daemon's option values for each pair of files. */
export function pythonGconf(cases: readonly GconfCase[]): Record<string, string | number | boolean>[] {
  return ask({ kind: 'gconf', syncdaemon, cases }) as Record<string, string | number | boolean>[];
}
