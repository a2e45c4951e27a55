import { execFileSync, spawnSync } from 'node:child_process';
import type { SpawnSyncReturns } from 'node:child_process';
import { closeSync, constants, existsSync, mkdtempSync, openSync, readFileSync, renameSync } from 'node:fs';
import { rmSync, symlinkSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { formatMessage, formatTime, safeText } from '../src/log-format.js';
import { createLogger } from '../src/log.js';
import type { LogLevel, RootLog } from '../src/log.js';
import { childScript } from './child-script.js';
import { syncdaemon } from './config/python.js';
import { lacks, lacksPython, NO_GLUSTER } from './skip.js';
import { fc } from './seeds.js';

const dir = mkdtempSync(join(tmpdir(), 'gsyncd-log-'));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;

function freshPath(): string {
  return join(dir, `${files++}`, 'deep', 'gsyncd.log');
}

function open(path: string, level: LogLevel = 'INFO'): RootLog {
  return createLogger({ destination: path, level, label: 'worker /d/b1' });
}

function lines(path: string): string[] {
  return readFileSync(path, 'utf8').split('\n').slice(0, -1);
}

/** Runs a script in a separate process, with `createLogger` and `closeSync` imported. */
function runChild(script: string, argument = '', stderr: 'pipe' | number = 'pipe'): SpawnSyncReturns<string> {
  const imports = "import { createLogger } from '/src/log.ts';\nimport { closeSync } from 'node:fs';\n";
  const file = childScript(join(dir, 'child'), imports + script);
  // Node passes blocking descriptors to its children; the parent of the real daemon may pass non-blocking ones.
  const nonBlocking = 'import os, sys; os.set_blocking(2, False); os.execv(sys.argv[1], sys.argv[1:])';
  const argv = ['-c', nonBlocking, process.execPath, file, argument];
  return spawnSync('python3', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', stderr], timeout: 20_000 });
}

const STAMP = /^\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6})\] /;

function afterStamp(path: string): string[] {
  return lines(path).map((line) => line.replace(STAMP, ''));
}

describe('createLogger()', () => {
  it("writes GlusterFS's line format", () => {
    const path = freshPath();
    const log = open(path, 'DEBUG');
    const crawl = log.child({ module: 'primary', fn: 'crawl', ctx: 'GPrimary' });
    crawl.info('starting hybrid crawl', { stime: [0, 0] });
    crawl.warn('100%s of %d, %%');
    log.child({ module: 'main' }).error('exiting', { status: 1, reason: 'no such brick' });
    crawl.debug('detail', { skipped: undefined });
    log.close();
    expect(afterStamp(path)).toEqual([
      'I [primary(worker /d/b1):0:crawl] GPrimary: starting hybrid crawl [{stime=(0, 0)}]',
      'W [primary(worker /d/b1):0:crawl] GPrimary: 100%s of %d, %%',
      'E [main(worker /d/b1):0:<module>] <top>: exiting [{status=1}, {reason=no such brick}]',
      'D [primary(worker /d/b1):0:crawl] GPrimary: detail',
    ]);
  });

  it('stamps lines with the current UTC time, in ascending order', () => {
    const path = freshPath();
    const log = open(path).child({ module: 'm' });
    const before = Date.now();
    for (let i = 0; i < 2000; i += 1) log.info('tick');
    const after = Date.now();
    const stamps = lines(path).map((line) => STAMP.exec(line)?.[1] ?? '');
    expect(stamps).toEqual([...stamps].sort());
    expect(new Set(stamps.map((stamp) => stamp.slice(-3))).size).toBeGreaterThan(50);
    expect(Date.parse(`${stamps[0]!.replace(' ', 'T')}Z`)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(`${stamps.at(-1)!.replace(' ', 'T')}Z`)).toBeLessThanOrEqual(after + 1);
  });

  it.each<[LogLevel, string]>([
    ['ERROR', 'E'],
    ['WARNING', 'WE'],
    ['INFO', 'IWE'],
    ['DEBUG', 'DIWE'],
  ])('at level %s writes %s', (level, letters) => {
    const path = freshPath();
    const root = open(path, level === 'ERROR' ? 'DEBUG' : 'ERROR');
    const log = root.child({ module: 'm' });
    root.setLevel(level);
    log.debug('x');
    log.info('x');
    log.warn('x');
    log.error('x');
    expect(
      afterStamp(path)
        .map((line) => line[0])
        .join(''),
    ).toBe(letters);
  });

  it.skipIf(lacksPython('a log that outlives its process'))(
    'has written every line when the process is killed right after',
    () => {
      const path = freshPath();
      const result = runChild(
        `const log = createLogger({ destination: process.argv[2], level: 'INFO', label: '' }).child({ module: 'm' });
       for (let i = 0; i < 5000; i += 1) log.info('line', { i });
       process.kill(process.pid, 'SIGKILL');`,
        path,
      );
      expect(result.signal).toBe('SIGKILL');
      expect(afterStamp(path)).toHaveLength(5000);
      expect(afterStamp(path).at(-1)).toBe('I [m:0:<module>] <top>: line [{i=4999}]');
    },
  );

  it.skipIf(lacksPython('a log that outlives its process'))(
    'writes to stderr for destination -, and survives a closed stderr',
    () => {
      const result = runChild(
        `const log = createLogger({ destination: '-', level: 'INFO', label: 'x' }).child({ module: 'm' });
       log.info('to the terminal');
       closeSync(2);
       log.info('nowhere');
       process.stdout.write('alive');`,
      );
      expect(result.stderr).toMatch(/^\[[^\]]+\] I \[m\(x\):0:<module>\] <top>: to the terminal\n$/);
      expect(result.stdout).toBe('alive');
    },
  );

  it('two loggers append to one file without mixing lines', () => {
    const path = freshPath();
    const log = open(path).child({ module: 'm' });
    const other = open(path).child({ module: 'm' });
    for (let i = 0; i < 200; i += 1) (i % 2 === 0 ? log : other).info('line', { i, filler: 'x'.repeat(300) });
    expect(afterStamp(path).map((line) => /\{i=(\d+)\}/.exec(line)?.[1])).toEqual(
      Array.from({ length: 200 }, (_, i) => String(i)),
    );
  });

  it('throws one line for a file that cannot be opened', () => {
    expect(() => open('/proc/none/gsyncd.log')).toThrow('log: /proc/none/gsyncd.log: cannot be opened: ENOENT');
  });
});

describe('rotation', () => {
  it('reopen() switches to the new file', () => {
    const path = freshPath();
    const root = open(path);
    const log = root.child({ module: 'm' });
    log.info('first');
    renameSync(path, `${path}.1`);
    log.info('second');
    root.reopen();
    log.info('third');
    root.close();
    expect(afterStamp(`${path}.1`)).toEqual([
      'I [m(worker /d/b1):0:<module>] <top>: first',
      'I [m(worker /d/b1):0:<module>] <top>: second',
    ]);
    expect(afterStamp(path)).toEqual(['I [m(worker /d/b1):0:<module>] <top>: third']);
  });

  it('the log detects a renamed file and a removed directory, and creates them again', async () => {
    const path = freshPath();
    const log = open(path).child({ module: 'm' });
    log.info('first');
    renameSync(path, `${path}.1`);
    await vi.waitFor(
      () => {
        log.info('probe');
        expect(existsSync(path)).toBe(true);
      },
      { timeout: 3000, interval: 50 },
    );
    rmSync(join(path, '..'), { recursive: true });
    await vi.waitFor(
      () => {
        log.info('last');
        expect(afterStamp(path).at(-1)).toContain('last');
      },
      { timeout: 3000, interval: 50 },
    );
  });

  it('reopen() keeps the open file when the path cannot be opened', () => {
    const path = freshPath();
    const root = open(path);
    const log = root.child({ module: 'm' });
    renameSync(path, `${path}.1`);
    symlinkSync('/proc/none/file', path);
    root.reopen();
    log.info('still here');
    expect(afterStamp(`${path}.1`)).toEqual(['I [m(worker /d/b1):0:<module>] <top>: still here']);
  });
});

describe('a full disk', () => {
  it('does not make the log throw; the number of lost lines is logged once there is space', () => {
    const path = freshPath();
    open(path).close();
    unlinkSync(path);
    symlinkSync('/dev/full', path);
    const root = open(path);
    const log = root.child({ module: 'm' });
    for (let i = 0; i < 3; i += 1) log.info('lost');
    root.flush();
    unlinkSync(path);
    root.reopen();
    log.info('kept');
    root.close();
    expect(afterStamp(path)).toEqual([
      'W [log(worker /d/b1):0:<module>] <top>: log lines lost [{count=3}]',
      'I [m(worker /d/b1):0:<module>] <top>: kept',
    ]);
  });

  it.skipIf(lacksPython('a log that outlives its process'))(
    'the log waits for a full pipe once, not for every line',
    () => {
      const fifo = join(dir, 'fifo');
      execFileSync('mkfifo', [fifo]);
      const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
      const writer = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
      const result = runChild(
        `const log = createLogger({ destination: '-', level: 'INFO', label: '' }).child({ module: 'm' });
       const start = performance.now();
       for (let i = 0; i < 300; i += 1) log.info('x'.repeat(1000));
       process.stdout.write(String(performance.now() - start));`,
        '',
        writer,
      );
      closeSync(writer);
      closeSync(reader);
      expect(Number(result.stdout)).toBeGreaterThan(900);
      expect(Number(result.stdout)).toBeLessThan(5000);
    },
  );
});

describe('formatMessage()', () => {
  it.each<[string, Record<string, unknown>, string]>([
    ['m', {}, 'm'],
    ['m', { a: undefined }, 'm'],
    ['m', { a: null, b: true, c: false }, 'm [{a=None}, {b=True}, {c=False}]'],
    ['m', { a: 1, b: 1.5, c: -0.25, d: 10n }, 'm [{a=1}, {b=1.5}, {c=-0.25}, {d=10}]'],
    ['m', { a: 'plain text', b: '' }, 'm [{a=plain text}, {b=}]'],
    ['m', { a: [0, 0], b: [], c: [1] }, 'm [{a=(0, 0)}, {b=()}, {c=(1,)}]'],
    ['m', { a: ['x', null, ["it's"]] }, `m [{a=('x', None, ("it's",))}]`],
    ['m', { a: { k: 'v', n: { x: true } } }, "m [{a={'k': 'v', 'n': {'x': True}}}]"],
    ['m', { a: new Map([[1, 'x']]), b: new Set(['y']) }, "m [{a={1: 'x'}}, {b=('y',)}]"],
    ['m', { a: new Error('went wrong') }, 'm [{a=went wrong}]'],
    ['m', { a: Buffer.of(0xde, 0xad) }, "m [{a=b'dead'}]"],
    ['m', { a: 'two\nlines\r\x1b[31m' }, 'm [{a=two\\nlines\\r\\x1b[31m}]'],
    ['m', { a: 'caf\u00e9 \udcff\udc80 \ud83d\ude00 \ud83d' }, 'm [{a=caf\u00e9 \\xff\\x80 \ud83d\ude00 \\ud83d}]'],
    ['m\nn', { 'k\n': '\u0085\u2028' }, 'm\\nn [{k\\n=\\u0085\u2028}]'],
  ])('%j with %o', (message, fields, wanted) => {
    expect(formatMessage(message, fields)).toBe(wanted);
  });

  it('terminates for a value that contains itself', () => {
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    expect(formatMessage('m', { loop })).toContain('...');
  });

  it('returns one well-formed line for any value', () => {
    const text = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) });
    fc.assert(
      fc.property(text, fc.dictionary(text, fc.oneof(text, fc.anything())), (message, fields) => {
        const line = formatMessage(message, fields);
        expect(line).not.toMatch(/[\n\r]/);
        expect(line.isWellFormed()).toBe(true);
        expect(safeText(line)).toBe(line);
      }),
    );
  });

  it.skipIf(lacks(syncdaemon !== undefined, NO_GLUSTER, "log lines beside stock's"))(
    'prints fields as the stock lf() does',
    () => {
      const code = `import sys; sys.path.insert(0, sys.argv[1]); from syncdutils import lf; print(lf("m", a=(0, 0), b=None, c=True,
      d=1.5, e="x y", f=(), g={"k": ("v",), "n": -1}, h=("it's", 'say "x"'), i=""))`;
      const stock = execFileSync('python3', ['-B', '-c', code, syncdaemon ?? ''], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const fields = {
        a: [0, 0],
        b: null,
        c: true,
        d: 1.5,
        e: 'x y',
        f: [],
        g: { k: ['v'], n: -1 },
        h: ["it's", 'say "x"'],
        i: '',
      };
      expect(`${formatMessage('m', fields)}\n`).toBe(stock);
    },
  );
});

describe('formatTime()', () => {
  it.each([
    [0, '1970-01-01 00:00:00.000000'],
    [1795411821493123, '2026-11-23 05:30:21.493123'],
    [1795411821000007, '2026-11-23 05:30:21.000007'],
    [999999, '1970-01-01 00:00:00.999999'],
  ])('%d is %s', (micros, wanted) => {
    expect(formatTime(micros)).toBe(wanted);
  });
});
