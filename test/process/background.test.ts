import { readFileSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { startInBackground } from '../../src/process/background.js';
import { spawnGroupChild } from '../../src/process/spawn.js';

const started: number[] = [];
afterEach(() => {
  for (const pid of started.splice(0)) process.kill(pid, 'SIGKILL');
});

it('startInBackground() returns the first words of the daemon, which leads a new session with /dev/null as stdin', async () => {
  const said = await startInBackground(
    ['bash', '-c', 'echo -n "$$ $(readlink /proc/self/fd/0)" >&3; exec 3>&-; exec sleep 1000'],
    process.env,
  );
  const [pid = '', input] = said.split(' ');
  started.push(Number(pid));
  expect(input).toBe('/dev/null');
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  expect([fields[2], fields[3]]).toEqual([pid, pid]);
});

it('startInBackground() returns an empty string for a daemon without a message, and fails for a missing program', async () => {
  expect(await startInBackground(['true'], process.env)).toBe('');
  await expect(startInBackground(['/nonexistent/program'], process.env)).rejects.toThrow(/ENOENT/);
});

it('spawnGroupChild() resolves acknowledged before the child ends, and kill() signals only the child', async () => {
  const child = await spawnGroupChild([
    'bash',
    '-c',
    'trap "echo last words >&2; exit 7" TERM; exec 3>&-; while :; do sleep 0.05; done',
  ]);
  await child.acknowledged;
  expect(readFileSync(`/proc/${child.pid}/stat`, 'latin1')).not.toContain(' Z ');
  child.kill('SIGTERM');
  expect(await child.exited).toEqual({ code: 7, signal: null, stderrTail: 'last words' });
  const other = await spawnGroupChild(['sleep', '1000']);
  const early = await Promise.race([
    other.acknowledged.then(() => 'acknowledged'),
    new Promise((resolve) => setTimeout(resolve, 300, 'waiting')),
  ]);
  expect(early).toBe('waiting');
  expect((await other.end({ closeMs: 0, termMs: 1_000, killMs: 1_000 })).signal).toBe('SIGTERM');
  await other.acknowledged;
});
