// `gsyncd delete` with names, options and links that lead out of geo-replication's own directories: it prints one line and
// changes no file. The real command runs on a private copy of the state.

import { describe, expect, it } from 'vitest';
import { lacksRoot } from '../skip.js';
import { BIN, runOne, type TwinCase } from './stock-twin.js';

const SESSION = '/var/lib/glusterd/geo-replication/gv0_h_sv0';
const PAIR = ['gv0', 'h::sv0'];
const FILES = {
  [`${SESSION}/gsyncd.conf`]: '[vars]\n',
  '/var/lib/misc/gluster/gsyncd/gv0_h_sv0/x': '',
  '/var/lib/misc/gluster/gsyncd/other/x': '',
  '/var/lib/glusterd/vols/sv0/info': '',
  '/srv/victim/f': '',
};
const config = (line: string): Partial<TwinCase> => ({
  argv: ['delete', '-c', '/srv/c', ...PAIR],
  files: { ...FILES, '/srv/c': `[vars]\n${line}\n` },
});

describe.skipIf(lacksRoot('what delete refuses'))('delete', () => {
  it.each<[string, Partial<TwinCase>]>([
    [
      'georep-session-working-dir outside the directory of glusterd',
      config('georep-session-working-dir = /srv/victim'),
    ],
    ['working-dir outside gsyncd-miscdir', config('working-dir = /srv/victim/')],
    ['gsyncd-miscdir outside /var/lib/misc', config('gsyncd-miscdir = /srv')],
    [
      'working-dir equal to the parent of all working directories',
      config('working-dir = /var/lib/misc/gluster/gsyncd'),
    ],
    ['working-dir above it, through ..', config('working-dir = /var/lib/misc/gluster/gsyncd/../../..')],
    ['pid-file outside /run/gluster', config('pid-file = /srv/victim/gsyncd-f')],
    ["another daemon's pid-file", config('pid-file = /run/gluster/glusterd')],
    ['an stime-xattr-prefix outside trusted.glusterfs', config('stime-xattr-prefix = security.x')],
    [
      'a secondary name with .. in a legacy command line',
      {
        argv: [
          '--delete',
          '-c',
          '/srv/c',
          '--iprefix=/var',
          '--path-list=--path=/srv/victim ',
          ':gv0',
          'h::sv0/../../../../../srv/victim',
        ],
      },
    ],
    [
      'a primary name with ..',
      { argv: ['delete', '../vols/x', 'h::sv0'], before: 'mkdir -p /var/lib/glusterd/vols/x_h_sv0' },
    ],
    ['a secondary name with ..', { argv: ['delete', 'gv0', 'h::sv0/../../../../../srv/victim'] }],
    [
      'a symlink in place of the session directory',
      { argv: ['delete', ...PAIR], before: `rm -r ${SESSION}; ln -s /srv/victim ${SESSION}` },
    ],
    [
      'a symlink in place of the working directory',
      {
        argv: ['delete', ...PAIR],
        before: 'cd /var/lib/misc/gluster/gsyncd; rm -r gv0_h_sv0; ln -s /srv/victim gv0_h_sv0',
      },
    ],
    [
      'a symlink in the path of working-dir',
      {
        ...config('working-dir = /var/lib/misc/gluster/gsyncd/link/victim'),
        before: 'ln -s /srv /var/lib/misc/gluster/gsyncd/link',
      },
    ],
  ])('refuses %s', async (_, test) => {
    const list = 'cd /; find var/lib/glusterd var/lib/misc srv run/gluster ! -name "*.log" | sort';
    const whole = { files: FILES, argv: [], after: list, ...test };
    const { code, stderr, after } = await runOne(whole, [process.execPath, BIN]);
    const before = await runOne({ ...whole, argv: ['--verify', 'spawning'] }, [process.execPath, BIN]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /^gsyncd-ts: delete: [^\n]*: not one of geo-replication's own: nothing was removed\n$/,
      ) as string,
    });
    expect(after).toBe(before.after);
  });

  it("removes the session directory and the working directory below the gsyncd-miscdir of glusterd's gsyncd.conf", async () => {
    const moved = {
      ...FILES,
      [`${SESSION}/gsyncd.conf`]: '[vars]\ngsyncd-miscdir = /srv/misc\n',
      '/srv/misc/gv0_h_sv0/x': '',
    };
    const { code, files } = await runOne({ files: moved, argv: ['delete', ...PAIR] }, [process.execPath, BIN]);
    expect(code).toBe(0);
    expect(Object.keys(files).filter((path) => path.includes('gv0_h_sv0'))).toEqual([
      '/var/lib/misc/gluster/gsyncd/gv0_h_sv0/',
      '/var/lib/misc/gluster/gsyncd/gv0_h_sv0/x',
    ]);
  });
});
