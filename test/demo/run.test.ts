import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const PROGRAM = join(import.meta.dirname, '../../bin/gsyncd-ts.js');

test(
  'demo replicates, continues after SIGKILL of the worker, and reports equal trees',
  { timeout: 120_000 },
  async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, 'demo', '--seconds', '1']);
    const [, files] = /^first sync: (\d+) files equal/m.exec(stdout) ?? [];
    expect(Number(files)).toBeGreaterThan(900);
    expect(stdout).toMatch(/^first replicated file after [\d.]+ s$/m);
    expect(stdout).toContain('killed the worker (SIGKILL), made 100 changes without it, and start it again');
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(
      /^demo: equal: \d{4} names .* after \d+ live changes and one kill$/,
    );
  },
);
