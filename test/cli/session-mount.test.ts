// Cases in which a transfer must not enter the session's mount. On a volume: test/gluster/session-mount.test.ts.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { enterSessionMount } from '../../src/cli/forced/session-mount.js';

const here = process.cwd();
afterEach(() => expect(process.cwd()).toBe(here));

it('enterSessionMount() refuses a directory that is not the root of a volume', () => {
  expect(() => enterSessionMount(process.pid, () => true)).toThrow("the session's mount: not the root of a volume");
});

it('enterSessionMount() refuses a process that has ended or is not the secondary', () => {
  expect(() => enterSessionMount(process.pid, () => false)).toThrow("the session's mount: secondary process has ended");
  expect(() => enterSessionMount(2 ** 22 + 1, () => true)).toThrow(/^the session's mount: ENOENT/);
});

it('enterSessionMount() refuses a process that ends during the check, even if its id is reused', () => {
  const { pid } = spawn('sleep', ['100']);
  const end = (): boolean => {
    process.kill(pid!, 'SIGKILL');
    while (!/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1')));
    return true;
  };
  expect(() => enterSessionMount(pid!, end)).toThrow(/^the session's mount: ENOENT/);
});
