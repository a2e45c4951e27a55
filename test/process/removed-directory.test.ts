import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

const DIST = new URL('../../dist/process/', import.meta.url).href;

it('enterRemovedDirectory() makes file creation in the working directory fail, and runChild() still works', () => {
  const script = `
    import { mkdirSync, readlinkSync, writeFileSync } from 'node:fs';
    import { enterRemovedDirectory } from '${DIST}removed-directory.js';
    import { runChild } from '${DIST}spawn.js';
    const attempt = (act) => { try { act(); return 'made'; } catch (error) { return error.code; } };
    enterRemovedDirectory(); enterRemovedDirectory();
    const cwd = '/proc/self/cwd';
    const made = [attempt(() => writeFileSync(cwd + '/file', '')), attempt(() => mkdirSync(cwd + '/dir')), attempt(() => writeFileSync('file', ''))];
    const { stdout } = await runChild(['pwd']);
    console.log(JSON.stringify([readlinkSync(cwd).replace(/-[^-]*$/, ''), made, stdout.toString().trim()]));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: '/tmp' },
  });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual(['/tmp/gsyncd-ts', ['ENOENT', 'ENOENT', 'ENOENT'], '/']);
});
