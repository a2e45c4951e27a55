import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import {
  errnoName,
  errnoNumber,
  lgetxattr,
  lgetxattrAsync,
  llistxattr,
  llistxattrAsync,
  lremovexattr,
  lremovexattrAsync,
  lsetxattr,
  lsetxattrAsync,
  NativeError,
} from '../../src/native/libc.js';
import { fsDecode } from '../../src/names.js';
import { childScript } from '../child-script.js';
import { lacksRoot } from '../skip.js';

const dir = mkdtempSync(join(tmpdir(), 'libc-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function errorOf(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe.skipIf(lacksRoot('trusted.* xattrs'))('xattrs', () => {
  it('set, list, read and remove on a name that is not UTF-8', async () => {
    const path = Buffer.concat([Buffer.from(`${dir}/`), Buffer.of(0xff, 0x20, 0x0a, 0xe9)]);
    writeFileSync(path, '');
    lsetxattr(path, 'user.a', Buffer.of(0, 255, 10));
    await lsetxattrAsync(fsDecode(path), 'user.b', Buffer.alloc(0));
    expect(lgetxattr(fsDecode(path), 'user.a')).toEqual(Buffer.of(0, 255, 10));
    expect(await lgetxattrAsync(path, 'user.b')).toEqual(Buffer.alloc(0));
    expect(llistxattr(path).sort()).toEqual(['user.a', 'user.b']);
    expect((await llistxattrAsync(path)).sort()).toEqual(['user.a', 'user.b']);
    lremovexattr(path, 'user.a');
    await lremovexattrAsync(path, 'user.b');
    expect(llistxattr(path)).toEqual([]);
  });

  it('act on a dangling symlink itself', () => {
    const link = join(dir, 'dangling');
    symlinkSync('nowhere', link);
    lsetxattr(link, 'trusted.mark', Buffer.from('x'));
    expect(lgetxattr(link, 'trusted.mark').toString()).toBe('x');
  });

  it('values larger than the first buffer are read completely', async () => {
    const big = mkdtempSync('/dev/shm/libc-');
    try {
      const path = join(big, 'f');
      writeFileSync(path, '');
      const value = Buffer.alloc(50_000, 'v');
      lsetxattr(path, 'trusted.big', value);
      expect(lgetxattr(path, 'trusted.big').equals(value)).toBe(true);
      expect((await lgetxattrAsync(path, 'trusted.big')).equals(value)).toBe(true);
    } finally {
      rmSync(big, { recursive: true });
    }
  });

  it('failures carry the errno, in both forms', async () => {
    writeFileSync(join(dir, 'plain'), '');
    const error = errorOf(() => lgetxattr(join(dir, 'plain'), 'user.none'));
    expect(error).toBeInstanceOf(NativeError);
    expect(error).toMatchObject({ code: 'ENODATA', errno: 61 });
    await expect(lgetxattrAsync(join(dir, 'missing'), 'user.none')).rejects.toMatchObject({ code: 'ENOENT', errno: 2 });
    expect(errorOf(() => lgetxattr(join(dir, 'a\0b'), 'user.none'))).toMatchObject({ code: 'EINVAL' });
  });

  it('a thousand concurrent asynchronous calls each return their own result', async () => {
    const path = join(dir, 'many');
    writeFileSync(path, '');
    for (let i = 0; i < 20; i++) lsetxattr(path, `user.n${i}`, Buffer.from(String(i)));
    const answers = await Promise.all(
      Array.from({ length: 1000 }, async (_, i) => {
        if (i % 7 === 0) return lgetxattrAsync(path, 'user.no').catch(errnoNumber);
        return (await lgetxattrAsync(path, `user.n${i % 20}`)).toString();
      }),
    );
    answers.forEach((answer, i) => expect(answer).toBe(i % 7 === 0 ? 61 : String(i % 20)));
  });
});

describe('errno numbers', () => {
  it('are named as Node and Python name them', () => {
    expect([11, 95, 116, 61].map(errnoName)).toEqual(['EAGAIN', 'ENOTSUP', 'ESTALE', 'ENODATA']);
    expect(errnoName(9999)).toBe('errno 9999');
  });

  it('are read from Node errors too', async () => {
    const error: unknown = await promisify(execFile)(join(dir, 'nothing')).catch((e: unknown) => e);
    expect(errnoNumber(error)).toBe(2);
    expect(errnoNumber(new Error('plain'))).toBeUndefined();
  });
});

describe('replaceProcess()', () => {
  function run(body: string): { stdout: Buffer; status: number | null; stderr: string } {
    const script = childScript(
      dir,
      `import { replaceProcess, execFlag } from '/src/native/libc.ts';\nimport fs from 'node:fs';\n${body}`,
    );
    const result = spawnSync(process.execPath, [script], { input: 'from stdin' });
    return {
      stdout: result.stdout,
      status: result.status,
      stderr: result.stderr.toString() + (result.error?.message ?? ''),
    };
  }

  it('keeps pid, standard streams, named descriptors and argument bytes, and passes only the given environment', () => {
    writeFileSync(join(dir, 'kept'), 'kept content');
    const result = run(`
      const fd = fs.openSync(${JSON.stringify(join(dir, 'kept'))});
      fs.writeSync(1, process.pid + '\\n');
      replaceProcess('sh', ['sh', '-c', 'echo $$; env | grep -c SECRET; echo $X; cat; cat /proc/self/fd/' + fd + '; printf "<%s>" "$1"', 'b', Buffer.from([0xff, 0x41])],
        { PATH: process.env.PATH, X: 'é x' }, [fd]);`);
    const lines = result.stdout.toString('latin1').split('\n');
    expect(result.stderr).toBe('');
    expect(lines[0]).toBe(lines[1]);
    expect(lines.slice(2, 4)).toEqual(['0', Buffer.from('é x').toString('latin1')]);
    expect(lines[4]).toBe('from stdinkept content<\xffA>');
  });

  it('throws ENOENT for a missing program, and changes no descriptor flags', () => {
    const result = run(`
      try { replaceProcess('no-such-program', ['x'], {}); } catch (e) { console.log(e.code, execFlag(0) === execFlag(1)); }`);
    expect(result.stdout.toString()).toBe('ENOENT true\n');
  });
});
