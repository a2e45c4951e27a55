import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { translateLegacyArgs } from '../../src/cli/legacy/legacy-argv.js';
import { syncdaemon } from '../config/python.js';
import { lacks, NO_GLUSTER } from '../skip.js';
import { fc, seedFrom } from '../seeds.js';

const workdir = mkdtempSync(join(tmpdir(), 'gsyncd-legacy-'));
afterAll(() => rmSync(workdir, { recursive: true }));

type Answer = { readonly argv: readonly string[] } | { readonly exit: number; readonly out: string };

function stock(cases: readonly (readonly string[])[]): Answer[] {
  const script = new URL('python-legacy.py', import.meta.url).pathname;
  const input = JSON.stringify({ syncdaemon, workdir, cases });
  return JSON.parse(execFileSync('python3', ['-B', script], { input, maxBuffer: 64 << 20 }).toString()) as Answer[];
}

/** The result of translateLegacyArgs() in the form of `stock`. Hosts in these tests are addresses, which need no DNS. */
function here(args: readonly string[]): Answer {
  const outcome = translateLegacyArgs(args, workdir);
  switch (outcome.kind) {
    case 'run':
      return { argv: outcome.argv };
    case 'refused':
      return { exit: outcome.exitCode, out: '' };
    case 'done':
      return { exit: 0, out: '' };
    case 'print':
      return { exit: 0, out: `${outcome.line}\n` };
    case 'canonicalize':
      return {
        exit: outcome.refused === undefined ? 0 : 1,
        out: outcome.urls
          .map(({ user, host, volume }) => `ssh://${user}@${host}:gluster://127.0.0.1:${volume}\n`)
          .join(''),
      };
  }
}

/** Command lines of glusterd 10.3, as it ran them for create, status, config, start, pause, resume, stop and delete. */
const recorded = (
  JSON.parse(readFileSync(new URL('../fixtures/glusterd-calls.json', import.meta.url), 'utf8')) as { argv: string[] }[]
).map(({ argv }) => argv);

const more: readonly string[][] = [
  ['--inet6', '-c', 'f', '--iprefix=/var', ':gv0', 'h::sv0', '--config-get-all'],
  ['--inet6', '--canonicalize-url', 'ssh://user@no.such.host::sv0'],
  ['--canonicalize-url', 'geo@10.0.0.1::sv0', 'ssh://10.0.0.2::sv1'],
  ['--canonicalize-url', '10.0.0.1:sv0'],
  ['--canonicalize-url', '10.0.0.1::sv0', '10.0.0.1:sv0'],
  ['--canonicalize-url'],
  ['--normalize-url', 'ssh://geo@h::sv0:1234'],
  ['--normalize-url', 'h:sv0'],
  ['--status-get', ':gv0', 'h::sv0'],
  ['--status-get', ':gv0', '--path'],
  [
    '--monitor',
    '--path=/b1',
    '--path=/b2',
    '-c',
    'f',
    '--iprefix=/var',
    ':gv0',
    '--glusterd-uuid=u',
    'geo@h::sv0:uuid',
  ],
  ['--monitor', ':gv0', 'h::sv0'],
  ['--config-set', ':gv0', 'h::sv0', 'rsync-options', '--value=--a b'],
  ['--config-set', ':gv0', 'h::sv0', 'log_level', 'DEBUG'],
  ['--config-set', 'session-owner', 'x'],
  ['--config-set-rx', 'a', 'b'],
  ['--config-set-rx', '-c', '/x/gsyncd.conf'],
  ['--create', 'Paused', '-cfile', '::gv0:', 'h::sv0'],
  ['--delete', ':gv0', 'h::sv0'],
  ['--delete', '--path-list=', ':gv0', 'h::sv0'],
  ['--delete', '--path-list=--path=/a b/c --path=/d', '--reset', ':gv0', 'h::sv0'],
  ['--secondaryvoluuid-get', 'h::sv0', '-c', 'f'],
  ['--verify', 'spawning'],
  ['--verify', 'other'],
  ['--config-check', 'log_level', '-c', 'f'],
  ['--config-get', 'pid_file', ':gv0', 'h::sv0', '--config-g', 'x'],
  ['status', 'gv0', 'h::sv0', '--local-path', '/b'],
  [],
];

it('translateLegacyArgs() keeps --pause-on-start for the monitor', () => {
  const args = [
    '--monitor',
    '-c',
    'f',
    '--iprefix=/var',
    ':gv0',
    '--glusterd-uuid=u',
    'geo@h::sv0:uuid',
    '--pause-on-start',
  ];
  expect(here(args)).toEqual({ argv: ['monitor', 'gv0', 'geo@h::sv0', '--local-node-id', 'u', '--pause-on-start'] });
});

describe.skipIf(lacks(syncdaemon !== undefined, NO_GLUSTER, "old command lines beside stock's"))(
  'translateLegacyArgs() and the stock daemon give the same result for',
  () => {
    const cases = [...new Map([...recorded, ...more].map((args) => [JSON.stringify(args), args])).values()];
    const answers = syncdaemon === undefined ? [] : stock(cases);
    it.each(cases.map((args, i) => [args.join(' '), args, answers[i]] as const))('%s', (_, args, answer) => {
      expect(here(args)).toEqual(answer);
    });

    it('random mixtures of legacy words', () => {
      const word = fc.constantFrom(
        '--monitor',
        '--status-get',
        '--canonicalize-url',
        '--normalize-url',
        '--config-get-all',
        '--verify',
        'spawning',
        '--secondaryvoluuid-get',
        '--config-set-rx',
        '--create',
        '--config-get',
        '--config-set',
        '--config-check',
        '--config-del',
        '--delete',
        '--inet6',
        'session-owner',
        '-c',
        '-cx',
        '--iprefix=/var',
        '--iprefix',
        '--path',
        '--path=/b',
        '--pa=/c',
        '--path-list=--path=/b --path=/c ',
        '--reset-sync-time',
        '--value=v',
        '--val',
        ':gv0',
        'gv0',
        '10.0.0.1::sv0',
        'ssh://geo@10.0.0.1::sv0:u',
        '10.0.0.1:sv0',
        'a::b::c',
        'log_level',
        '',
        '-',
        '-1',
        '-x y',
        '--unknown',
        '--unknown=1',
        '--config',
        '/x/gsyncd.conf',
        '--glusterd-uuid=u',
      );
      const seed = seedFrom('LEGACY_SEED');
      const lines = fc.sample(fc.array(word, { maxLength: 9 }), { numRuns: 3000, seed });
      const expected = stock(lines);
      const different = lines.flatMap((args, i) =>
        JSON.stringify(here(args)) === JSON.stringify(expected[i])
          ? []
          : [{ args, here: here(args), stock: expected[i] }],
      );
      expect(different.slice(0, 5), `LEGACY_SEED=${seed}`).toEqual([]);
    });
  },
);
