import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { afterAll, expect, it } from 'vitest';
import { isLocked, tryLock, withFlock } from '../../src/native/locks.js';
import { lacksPython } from '../skip.js';

const dir = mkdtempSync(join(tmpdir(), 'locks-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs `code` in a Python process, which prints one line and then waits for the end of its stdin. */
async function python(code: string, path: string): Promise<{ said: string; end: () => Promise<void> }> {
  const source = `import fcntl, os, sys\npath = sys.argv[1]\n${code}\nsys.stdout.flush()\nsys.stdin.read()`;
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn('python3', ['-c', source, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [said] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return {
    said,
    end: async () => {
      const closed = once(child, 'close');
      child.stdin.end();
      await closed;
    },
  };
}

const TRY = `
f = open(path, 'r+')
try:
    fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print('got')
except (IOError, OSError) as e:
    print('taken', e.errno)`;

it.skipIf(lacksPython('locks of other processes'))(
  'tryLock() blocks lockf in another process until released',
  async () => {
    const path = join(dir, 'pid');
    const lock = await tryLock(path);
    readFileSync(path);
    const first = await python(TRY, path);
    expect(first.said).toMatch(/^taken (11|13)$/);
    await first.end();
    expect(await isLocked(path)).toBe(true);
    await lock?.release();
    await lock?.release();
    const second = await python(TRY, path);
    expect(second.said).toBe('got');
    await second.end();
  },
);

it.skipIf(lacksPython('locks of other processes'))(
  'tryLock() returns null while another process holds lockf, and the lock once that process has ended',
  async () => {
    const path = join(dir, 'theirs');
    writeFileSync(path, '');
    const holder = await python(TRY, path);
    expect(holder.said).toBe('got');
    expect(await isLocked(path)).toBe(true);
    expect(await tryLock(path)).toBeNull();
    await holder.end();
    const lock = await tryLock(path);
    expect(lock).not.toBeNull();
    expect(await tryLock(path)).toBeNull();
    await lock?.release();
    expect(await isLocked(path)).toBe(false);
  },
);

it('tryLock() fails with the errno of the open', async () => {
  await expect(tryLock(join(dir, 'no', 'such'))).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await isLocked(join(dir, 'no', 'such'))).toBe(false);
});

it.skipIf(lacksPython('locks of other processes'))(
  'withFlock() waits for another process, then opens the file that replaced the locked one',
  async () => {
    const path = join(dir, 'status');
    writeFileSync(path, 'old');
    const holder = await python("f = open(path, 'r+')\nfcntl.flock(f, fcntl.LOCK_EX)\nprint('held')", path);
    let entered = false;
    const waiting = withFlock(path, (fd) => {
      entered = true;
      return Promise.resolve(readFileSync(fd, 'utf8'));
    });
    await writeFile(join(dir, 'next'), 'new');
    await rename(join(dir, 'next'), path);
    expect(entered).toBe(false);
    await holder.end();
    expect(await waiting).toBe('new');
  },
);

it('withFlock() serializes callers of one process, and continues after one that throws', async () => {
  const path = join(dir, 'turns');
  let inside = 0;
  const results = await Promise.allSettled(
    Array.from({ length: 30 }, (_, i) =>
      withFlock(path, async () => {
        inside += 1;
        const alone = inside === 1;
        await writeFile(`${path}.new`, String(i));
        await rename(`${path}.new`, path);
        inside -= 1;
        if (i === 3) throw new Error('three');
        return alone;
      }),
    ),
  );
  expect(results.map((r) => r.status === 'fulfilled' && r.value)).toEqual(
    Array.from({ length: 30 }, (_, i) => i !== 3),
  );
  expect(readFileSync(path, 'utf8')).toBe('29');
});
