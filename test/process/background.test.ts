import { readFileSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { startInBackground } from '../../src/process/background.js';
import { spawnGroupChild } from '../../src/process/spawn.js';

const started: number[] = [];
afterEach(() => {
  for (const pid of started.splice(0)) process.kill(pid, 'SIGKILL');
});

it('startInBackground() gives what the daemon says, which then leads a session of its own on /dev/null', async () => {
  const said = await startInBackground(['bash', '-c', 'echo -n "$$ $(readlink /proc/self/fd/0)" >&3; exec 3>&-; exec sleep 1000'], process.env);
  const [pid = '', input] = said.split(' ');
  started.push(Number(pid));
  expect(input).toBe('/dev/null');
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /, '').split(' ');
  expect([fields[2], fields[3]]).toEqual([pid, pid]);
});

it('startInBackground() gives nothing when the daemon ends without a word, and fails when there is no program', async () => {
  expect(await startInBackground(['true'], process.env)).toBe('');
  await expect(startInBackground(['/nonexistent/program'], process.env)).rejects.toThrow(/ENOENT/);
});

it('spawnGroupChild() tells the acknowledgement from the end, and reaches the child alone', async () => {
  const child = await spawnGroupChild(['bash', '-c', 'trap "echo last words >&2; exit 7" TERM; exec 3>&-; while :; do sleep 0.05; done']);
  await child.acknowledged;
  expect(readFileSync(`/proc/${child.pid}/stat`, 'latin1')).not.toContain(' Z ');
  child.kill('SIGTERM');
  expect(await child.exited).toEqual({ code: 7, signal: null, stderrTail: 'last words' });
  const other = await spawnGroupChild(['sleep', '1000']);
  const early = await Promise.race([other.acknowledged.then(() => 'acknowledged'), new Promise((resolve) => setTimeout(resolve, 300, 'waiting'))]);
  expect(early).toBe('waiting');
  expect((await other.end({ closeMs: 0, termMs: 1_000, killMs: 1_000 })).signal).toBe('SIGTERM');
  await other.acknowledged;
});
