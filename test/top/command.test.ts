import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const BIN = join(import.meta.dirname, '../../bin/gsyncd-ts.js');

test('top into a pipe prints one frame without escape sequences and exits', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'gsyncd-top-'));
  try {
    writeFileSync(join(dir, 'monitor.status'), 'Started');
    writeFileSync(
      join(dir, 'brick_%2Fsrv%2Fb.status'),
      JSON.stringify({
        worker_status: 'Active',
        crawl_status: 'Changelog Crawl',
        last_synced: 1_700_000_000,
        failures: 2,
      }),
    );
    // A live view would not exit; with the longest interval it would not print a second frame either.
    const run = promisify(execFile)(process.execPath, [BIN, 'top', dir, '--interval', '3600'], {
      timeout: 20_000,
      killSignal: 'SIGKILL',
      env: { ...process.env, TERM: 'xterm' },
    });
    const { stdout, stderr } = await run;
    expect(stdout.match(/\/srv\/b/g)).toHaveLength(1);
    expect(stdout).toMatch(/failures +2/);
    expect(stdout).not.toContain('\u001b');
    expect(stdout.endsWith('\n')).toBe(true);
    expect(stderr).toBe('');
  } finally {
    rmSync(dir, { recursive: true });
  }
});
