// Control characters in a peer's text must not reach the terminal.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { CommandExit } from '../../src/cli/exit.js';
import { exitCodeOf } from '../../src/cli/failure.js';
import { errorLine, GsyncdError } from '../../src/errors.js';

const HOSTILE = 'a\u001b]0;title\u0007b\u009b31mc\rd\u0000e\u007ff\udc9bg';
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]|\p{Cs}/u;
const dir = mkdtempSync(join(tmpdir(), 'gsyncd-terminal-'));
afterAll(() => rmSync(dir, { recursive: true }));

describe('a failure', () => {
  it.each([
    ['of this program', () => new GsyncdError(HOSTILE, { code: 'peer' })],
    ['of a command', () => new CommandExit(1, HOSTILE)],
    ['of an unexpected kind, with its stack', () => new Error(`${HOSTILE}\n${HOSTILE}`)],
    ['that is not an Error', () => HOSTILE as unknown as Error],
  ])('%s is printed without control characters', async (_what, make) => {
    const told: string[] = [];
    const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => told.push(String(text)) > 0);
    await exitCodeOf(() => Promise.reject(make())).finally(() => write.mockRestore());
    expect(told.join('')).toContain('a\\x1b]0;title\\x07b\\u009b31mc');
    expect(told.join('')).not.toMatch(CONTROL);
  });

  it('is printed as one line', () => {
    expect(errorLine(new Error(' a\n\n  b\r\nc '))).toBe('a b c');
  });
});

it("status shows a node's name without control characters", () => {
  const brick = '/bricks/b1';
  const state = join(dir, 'monitor.status');
  const config = join(dir, 'gsyncd.conf');
  writeFileSync(config, `[vars]\nstate-file = ${state}\npid-file = ${dir}/pid\nlog-file = -\n`);
  writeFileSync(state, 'Started');
  writeFileSync(
    join(dir, `brick_${encodeURIComponent(brick)}.status`),
    JSON.stringify({ slave_node: HOSTILE, secondary_node: HOSTILE, worker_status: 'Active', crawl_status: HOSTILE }),
  );
  const bin = resolve(import.meta.dirname, '../../bin/gsyncd-ts.js');
  for (const json of [[], ['--json']]) {
    const out = execFileSync(process.execPath, [
      bin,
      'status',
      'gv0',
      'h::sv0',
      '--local-path',
      brick,
      '-c',
      config,
      ...json,
    ]).toString();
    // JSON keeps DEL, as Python's json does; terminals ignore it.
    expect(json.length === 0 ? out : out.replaceAll('\u007f', '')).not.toMatch(CONTROL);
  }
});
