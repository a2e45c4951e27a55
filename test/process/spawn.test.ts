// Runs real children: fixtures that flood, hang and ignore signals, and standard programs.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { pipeline, runChild, spawnDaemonChild, spawnPipe } from '../../src/process/spawn.js';
import { lacksPython } from '../skip.js';

const BIN = join(import.meta.dirname, '../fixtures/bin');
const STUBBORN = join(BIN, 'stubborn');
const QUICK = { closeMs: 100, termMs: 200, killMs: 2_000 };

/** Whether a process still runs. A zombie does not. */
function runs(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat[stat.lastIndexOf(')') + 2] !== 'Z';
}

async function eventually(what: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !what(); i += 1) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(what()).toBe(true);
}

describe('runChild()', () => {
  test('returns stdout, the end of stderr and the exit code', async () => {
    const result = await runChild(['bash', '-c', 'echo out; echo err >&2; exit 7']);
    expect(result).toMatchObject({ exitCode: 7, signal: null, stderrTail: 'err', timedOut: false });
    expect(result.stdout.toString()).toBe('out\n');
  });

  test('passes arguments unchanged, without a shell', async () => {
    const result = await runChild(['printf', '%s', '$HOME; `id` *']);
    expect(result.stdout.toString()).toBe('$HOME; `id` *');
  });

  test('writes and reads more than pipe buffers hold at the same time', async () => {
    const input = Buffer.alloc(3 << 20, 'abcdefgh');
    expect((await runChild(['cat'], { input })).stdout.equals(input)).toBe(true);
    const pieces = async function* (): AsyncGenerator<Buffer> {
      for (let i = 0; i < 48; i += 1) yield Promise.resolve(input.subarray(i << 16, (i + 1) << 16));
    };
    expect((await runChild(['cat'], { input: pieces() })).stdout.equals(input)).toBe(true);
  });

  test('accepts a child that does not read its input', async () => {
    expect(await runChild(['true'], { input: Buffer.alloc(4 << 20) })).toMatchObject({ exitCode: 0 });
  });

  test('ends the child and throws the error of a failed input', async () => {
    const pieces = async function* (): AsyncGenerator<Buffer> {
      yield Promise.resolve(Buffer.from('x'));
      throw new Error('the list cannot be read');
    };
    await expect(runChild(['cat'], { input: pieces() })).rejects.toThrow('the list cannot be read');
  });

  test('reads a flood of stderr and keeps its end', async () => {
    const result = await runChild(
      ['bash', '-c', 'for i in {1..30000}; do echo "line $i of a flood" >&2; done; echo last >&2'],
      { stderrTailBytes: 100 },
    );
    expect(result.exitCode).toBe(0);
    expect(result.stderrTail.length).toBeLessThanOrEqual(100);
    expect(result.stderrTail.endsWith('line 30000 of a flood\nlast')).toBe(true);
  });

  test('passes on lines that are not UTF-8, and a last line without newline', async () => {
    const lines: string[] = [];
    const errors: string[] = [];
    await runChild(['bash', '-c', String.raw`printf 'a\xff\nb\n\nc'; printf 'e1\ne2' >&2`], {
      onStdoutLine: (line) => lines.push(line),
      onStderrLine: (line) => errors.push(line),
    });
    expect(lines).toEqual(['a\uDCFF', 'b', '', 'c']);
    expect(errors).toEqual(['e1', 'e2']);
  });

  test('names a program that is missing or not executable', async () => {
    await expect(runChild(['/x/rsync'])).rejects.toMatchObject({
      code: 'preflight',
      message: 'run rsync: /x/rsync: not found',
    });
    await expect(runChild(['no-such-program-here'])).rejects.toMatchObject({
      code: 'preflight',
      message: 'run no-such-program-here: not found in PATH',
    });
    await expect(runChild([import.meta.filename])).rejects.toMatchObject({
      code: 'preflight',
      message: expect.stringContaining('not executable') as string,
    });
    await expect(runChild(['true'], { cwd: '/no/such/dir' })).rejects.toMatchObject({
      code: 'preflight',
      message: expect.stringContaining('/no/such/dir') as string,
    });
  });

  test('fails for more output than maxStdoutBytes', async () => {
    await expect(runChild(['yes'], { maxStdoutBytes: 1000 })).rejects.toMatchObject({ code: 'fault' });
  });

  test('an abort ends the child and its children, even those that ignore SIGTERM', async () => {
    const controller = new AbortController();
    const pids: number[] = [];
    const run = runChild([STUBBORN], {
      signal: controller.signal,
      endTimeouts: QUICK,
      onStdoutLine: (line) => {
        pids.push(...line.split(' ').map(Number));
        controller.abort();
      },
    });
    await expect(run).rejects.toMatchObject({ code: 'stopped' });
    expect(pids).toHaveLength(2);
    await eventually(() => !pids.some(runs));
  });

  test('an aborted signal starts nothing', async () => {
    await expect(runChild(['true'], { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'stopped' });
  });

  test('returns timedOut after a timeout that ends the child', async () => {
    const result = await runChild(['sleep', '1000'], { timeoutMs: 100 });
    expect(result).toMatchObject({ timedOut: true, exitCode: null, signal: 'SIGTERM' });
  });

  test('does not wait for a grandchild that keeps the pipe open', async () => {
    const result = await runChild(['bash', '-c', 'setsid sleep 5 & echo done']);
    expect(result.stdout.toString()).toBe('done\n');
    expect(result.durationMs).toBeLessThan(4_000);
  });

  test('ends grandchildren that still run after the end of the child', async () => {
    const result = await runChild(['bash', '-c', 'sleep 1000 & echo $!']);
    expect(result.exitCode).toBe(0);
    await eventually(() => !runs(Number(result.stdout.toString())));
  });

  test.skipIf(lacksPython('what children inherit'))(
    'sets the parent-death signal of the child to SIGKILL, unless pdeathsig is false',
    async () => {
      const program = 'import ctypes; n = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(n)); print(n.value)';
      expect((await runChild(['python3', '-c', program])).stdout.toString()).toBe('9\n');
      expect((await runChild(['python3', '-c', program], { pdeathsig: false })).stdout.toString()).toBe('0\n');
    },
  );
});

describe('spawnPipe()', () => {
  test('exchanges data with a peer, which ends when its stdin closes', async () => {
    const peer = await spawnPipe(['cat']);
    peer.stdin.write('hello');
    const [answer] = (await once(peer.stdout, 'data')) as [Buffer];
    expect(answer.toString()).toBe('hello');
    expect(await peer.close()).toMatchObject({ code: 0, signal: null });
    expect(await peer.close()).toMatchObject({ code: 0 });
  });

  test('reports the exit code and the last stderr line of a peer', async () => {
    const peer = await spawnPipe(['bash', '-c', 'echo "Permission denied (publickey)." >&2; exit 255']);
    peer.stdout.resume();
    expect(await peer.exited).toMatchObject({ code: 255, stderrTail: 'Permission denied (publickey).' });
  });

  test('close() escalates from closed stdin to SIGTERM to SIGKILL, which ends the child and its children', async () => {
    const peer = await spawnPipe([STUBBORN]);
    const [line] = (await once(peer.stdout, 'data')) as [Buffer];
    const pids = line.toString().trim().split(' ').map(Number);
    expect(await peer.close(QUICK)).toMatchObject({ code: null, signal: 'SIGKILL' });
    await eventually(() => !pids.some(runs));
  });

  test('an abort closes it', async () => {
    const controller = new AbortController();
    const peer = await spawnPipe(['cat'], { signal: controller.signal });
    controller.abort();
    expect(await peer.exited).toMatchObject({ code: 0 });
  });
});

test('spawnDaemonChild() reports the end of a server and ends it by signal', async () => {
  const server = await spawnDaemonChild(['bash', '-c', 'echo serving >&2; exec sleep 1000']);
  expect(runs(server.pid)).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(server.kill('SIGTERM')).toBe(true);
  expect(await server.exited).toEqual({ code: null, signal: 'SIGTERM', stderrTail: 'serving' });
  expect(server.kill('SIGTERM')).toBe(false);
});

test("spawnPipe() children and 'stops' daemons join this process's group; other daemons lead a new group", async () => {
  const groupOf = (pid: number | string): string | undefined =>
    readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ')[2];
  const peer = await spawnPipe(['cat']);
  const [stops, goesOn] = [
    await spawnDaemonChild(['sleep', '1000'], 'stops'),
    await spawnDaemonChild(['sleep', '1000']),
  ];
  expect([peer.pid, stops.pid, goesOn.pid].map(groupOf)).toEqual([
    groupOf('self'),
    groupOf('self'),
    String(goesOn.pid),
  ]);
  stops.kill('SIGKILL');
  goesOn.kill('SIGKILL');
  await Promise.all([stops.exited, goesOn.exited, peer.close()]);
});

describe('pipeline()', () => {
  test('moves bytes from the first program to the second and reports both exit codes', async () => {
    const errors: string[] = [];
    const result = await pipeline(['bash', '-c', 'cat; echo from a >&2; exit 1'], ['bash', '-c', 'wc -c >&2; exit 2'], {
      inputA: Buffer.alloc(1 << 20),
      onStderrLineA: (line) => errors.push(line),
      onStderrLineB: (line) => errors.push(line),
    });
    expect(result).toMatchObject({
      a: { code: 1, stderrTail: 'from a' },
      b: { code: 2, stderrTail: '1048576' },
      bytes: 1 << 20,
    });
    expect(errors.sort()).toEqual(['1048576', 'from a']);
  });

  test('ends the first when the second ends early', async () => {
    const writes = await pipeline(['yes'], ['head', '-c', '10'], { inputA: '' });
    expect(writes.b.code).toBe(0);
    expect(writes.a.code).not.toBe(0);
    const hangs = await pipeline(['sleep', '1000'], ['false'], { inputA: '' });
    expect(hangs).toMatchObject({ a: { signal: 'SIGTERM' }, b: { code: 1 } });
  });

  test('names the missing program', async () => {
    await expect(pipeline(['sleep', '1000'], ['/x/ssh'], { inputA: '' })).rejects.toMatchObject({
      code: 'preflight',
      message: 'run ssh: /x/ssh: not found',
    });
  });

  test('an abort ends both programs', async () => {
    const controller = new AbortController();
    const run = pipeline([STUBBORN], ['cat'], { inputA: '', signal: controller.signal, endTimeouts: QUICK });
    setTimeout(() => controller.abort(), 200);
    await expect(run).rejects.toMatchObject({ code: 'stopped' });
  });
});

test('pipeline() moves all bytes when the first program ends long before the second has read them', async () => {
  const size = 400_000;
  const slow = 'sleep 2.5; test "$(wc -c)" = ' + String(size);
  const result = await pipeline(['bash', '-c', `cat >/dev/null; head -c ${size} /dev/zero`], ['bash', '-c', slow], {
    inputA: '',
  });
  expect([result.a.code, result.b.code, result.bytes]).toEqual([0, 0, size]);
});
