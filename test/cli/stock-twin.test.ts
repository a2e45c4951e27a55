import { describe, expect, it } from 'vitest';
import { noTwins, runTwins, type TwinCase } from './stock-twin.js';
import { progress } from '../progress/facts.js';
import { lacks } from '../skip.js';

const DIR = '/var/lib/glusterd/geo-replication/gv0_h1_sv0';
const CONF = `${DIR}/gsyncd.conf`;
const BRICK = '/srv/b/1 x';
const BRICK_FILE = `${DIR}/brick_%2Fsrv%2Fb%2F1+x.status`;
const PID_FILE = '/run/gluster/gsyncd-gv0-h1-sv0.pid';

const vars = (lines: string): string => `[vars]\n${lines}\n`;
const session = { [CONF]: vars('') };
const set = {
  [CONF]: vars(
    'log-level = DEBUG\nsync-jobs = 5\nuse-meta-volume = true\nrsync-options = -v --x=%d\nstate_socket_unencoded = a\nunheard-of = 1\n',
  ),
};
const PAIR = ['gv0', 'geo@h1::sv0'];
const OLD_PAIR = ['-c', CONF, '--iprefix=/var', ':gv0', 'geo@h1::sv0'];

const active = JSON.stringify({
  secondary_node: '10.0.0.9',
  worker_status: 'Active',
  last_synced: 1_700_000_100,
  last_synced_entry: 1_700_000_090,
  crawl_status: 'Changelog Crawl',
  entry: 3,
  data: 4,
  meta: 5,
  failures: 6,
  checkpoint_completed: 'No',
  checkpoint_time: 0,
  checkpoint_completion_time: 0,
});
const changed = (change: object): string => JSON.stringify({ ...(JSON.parse(active) as object), ...change });
const state = (monitor: string, brick: string, checkpoint = 0): Record<string, string> => ({
  [CONF]: vars(checkpoint === 0 ? '' : `checkpoint = ${checkpoint}\n`),
  [`${DIR}/monitor.status`]: monitor,
  [BRICK_FILE]: brick,
  [PID_FILE]: '1',
});

/** A worker in its first sync, with a progress file that stock does not read. */
const FIRST_SYNC = {
  ...state('Started', changed({ last_synced: 0 })),
  [BRICK_FILE.replace('.status', '.progress')]: JSON.stringify(
    progress({
      walk: { kind: 'first', state: 'walking', startedMs: 1, endedMs: 0, seen: 30, synced: 20, expected: 80 },
    }),
  ),
};

const config = (argv: readonly string[], files: Record<string, string> = set): TwinCase => ({ files, argv });
const status = (files: Record<string, string>, more: readonly string[] = [], locked?: string): TwinCase => {
  const argv = ['status', ...PAIR, '--local-path', BRICK, ...more];
  return locked === undefined ? { files, argv } : { files, argv, locked };
};
const old =
  '[__meta__]\nversion = 2.0\n\n[peersrx . .]\nremote_gsyncd = /x\n\n[peers gv0 sv0]\nsession_owner = u\nuse_tarssh = true\ntimeout = 60\nlog_level = DEBUG\nrsync_options =\nsync_jobs = 7\n';

/** Cases whose output, exit code, files and config messages on stderr must all equal stock's. */
const SAME: Record<string, TwinCase> = {
  'status: created': status(state('Created', '')),
  'status: no monitor or brick file': status(session),
  'status: active, monitor running': status(state('Started', active), [], PID_FILE),
  'status: active, monitor gone': status(state('Started', active)),
  'status: active, as JSON': status(state('Started', active), ['--json'], PID_FILE),
  'status: passive': status(state('Started', changed({ worker_status: 'Passive' })), [], PID_FILE),
  'status: faulty': status(state('Started', changed({ worker_status: 'Faulty' })), [], PID_FILE),
  'status: initializing, with an unknown field': status(
    state('Started', changed({ worker_status: 'Initializing...', last_error: "it's ü" })),
    ['--json'],
    PID_FILE,
  ),
  'status: paused': status(state('Paused\n', active), [], PID_FILE),
  'status: paused, monitor gone': status(state('Paused', active)),
  'status: stopped': status(state('Stopped', active)),
  'status: an unknown state': status(state('Odd', active)),
  'status: a brick file that is not JSON': status(state('Started', '{"worker_st'), [], PID_FILE),
  'status: checkpoint not reached': status(state('Started', active, 1_700_000_150), [], PID_FILE),
  'status: checkpoint completed': status(
    state(
      'Started',
      changed({
        checkpoint_completed: 'Yes',
        checkpoint_time: 1_700_000_050,
        checkpoint_completion_time: 1_700_000_110,
      }),
      1_700_000_050,
    ),
    [],
    PID_FILE,
  ),
  'status: nothing synced yet': status(state('Started', changed({ last_synced: 0 }), 1_700_000_050), [], PID_FILE),
  'status with --inet6 first': {
    ...status(state('Created', '')),
    argv: ['--inet6', 'status', ...PAIR, '--local-path', BRICK],
  },
  'status in the old style': {
    files: state('Started', active),
    argv: [...OLD_PAIR, '--status-get', '--path', BRICK],
    locked: PID_FILE,
  },
  'status in the old style, during a first sync': {
    files: FIRST_SYNC,
    argv: [...OLD_PAIR, '--status-get', '--path', BRICK],
    locked: PID_FILE,
  },
  'status in the old style creates the session file': {
    files: { [`${DIR}/monitor.status`]: 'Created' },
    argv: [...OLD_PAIR, '--status-get', '--path', BRICK],
  },
  'config-get': config(['config-get', ...PAIR]),
  'config-get of an empty file': config(['config-get', ...PAIR], { [CONF]: '' }),
  'config-get with defaults': config(['config-get', ...PAIR, '--show-defaults']),
  'config-get with defaults, names with _': config(['config-get', ...PAIR, '--show-defaults', '--use-underscore']),
  'config-get as JSON': config(['config-get', ...PAIR, '--json']),
  'config-get with defaults as JSON': config(['config-get', ...PAIR, '--json', '--show-defaults']),
  'config-get as JSON, not ASCII': config(['config-get', ...PAIR, '--json'], {
    [CONF]: vars('gluster-params = ä "x" \u{1f600}\n'),
  }),
  'config-get of one option': config(['config-get', ...PAIR, '--name', 'log-level']),
  'config-get of one option, only its value': config([
    'config-get',
    ...PAIR,
    '--name',
    'use_meta_volume',
    '--only-value',
  ]),
  'config-get of one option, names with _': config(['config-get', ...PAIR, '--name', 'sync-jobs', '--use-underscore']),
  'config-get of an option that the session does not set': config(['config-get', ...PAIR, '--name', 'ssh-port']),
  'config-get of a default': config(['config-get', ...PAIR, '--name', 'ssh-port', '--show-defaults']),
  'config-get of a template': config(['config-get', ...PAIR, '--name=pid-file', '--show-defaults', '--only-value']),
  'config-get of an option without a value': config([
    'config-get',
    ...PAIR,
    '--name=primary-bricks',
    '--show-defaults',
  ]),
  'config-get of an unknown option': config(['config-get', ...PAIR, '--name', 'no-such', '--show-defaults']),
  'config-get without a session': config(['config-get', ...PAIR, '--show-defaults'], {}),
  'config-get from another file': config(['config-get', ...PAIR, '-c', '/var/lib/misc/c.conf'], {
    '/var/lib/misc/c.conf': vars('sync-jobs = 9\n'),
  }),
  'config-get of another section in the session file': config(
    ['config-get', ...PAIR, '--show-defaults', '--name=sync-jobs'],
    { [CONF]: '[sync-jobs]\nvalue = 12\n[DEFAULT]\nmin = 0\n' },
  ),
  'config-get upgrades an old file': config(['config-get', ...PAIR], { [CONF]: old }),
  'config-get does not upgrade an old file of other volumes': config(['config-get', 'gv1', 'h1::sv0', '-c', CONF], {
    [CONF]: old,
  }),
  'old style: --config-get-all': config([...OLD_PAIR, '--config-get-all']),
  'old style: --config-get': config([...OLD_PAIR, '--config-get', 'log_level']),
  'old style: --config-get of an unknown option': config([...OLD_PAIR, '--config-get', 'no_such']),
  'config-set': config(['config-set', ...PAIR, '--name=sync-method', '--value=tarssh']),
  'config-set replaces': config(['config-set', ...PAIR, '--name=log_level', '--value=ERROR']),
  'config-set into an empty file': config(['config-set', ...PAIR, '-n', 'sync-jobs', '-v', '7'], { [CONF]: '' }),
  'config-set into an empty section': config(['config-set', ...PAIR, '--name=sync-jobs', '--value=7'], session),
  'config-set to the present value': config(['config-set', ...PAIR, '--name=log-level', '--value=DEBUG']),
  'config-set to the default': config(['config-set', ...PAIR, '--name=log-level', '--value=INFO'], session),
  'config-set to nothing': config(['config-set', ...PAIR, '--name=rsync-options', '--value=']),
  'config-set of words': config(['config-set', ...PAIR, '--name=rsync-options', '--value=--a=b  -c;d #e']),
  'config-set, an invalid choice': config(['config-set', ...PAIR, '--name=log_level', '--value=debug']),
  'config-set, too large': config(['config-set', ...PAIR, '--name=sync-jobs', '--value=101']),
  'config-set, not a number': config(['config-set', ...PAIR, '--name=sync-jobs', '--value=x']),
  'config-set, an invalid bool': config(['config-set', ...PAIR, '--name=access-mount', '--value=True']),
  'config-set, a program without a path': config(['config-set', ...PAIR, '--name=rsync-command', '--value=rsync']),
  'config-set, a program': config(['config-set', ...PAIR, '--name=rsync-command', '--value=/bin/true']),
  'config-set, a checkpoint': config(['config-set', ...PAIR, '--name=checkpoint', '--value=1700000000']),
  'config-set, a checkpoint in 1970': config(['config-set', ...PAIR, '--name=checkpoint', '--value=1000']),
  'config-set of an internal option': config(['config-set', ...PAIR, '--name=pid-file', '--value=/x']),
  'config-set of an unknown option': config(['config-set', ...PAIR, '--name=no-such', '--value=1']),
  'config-set without a session': config(['config-set', ...PAIR, '--name=sync-jobs', '--value=1'], {}),
  'config-set upgrades an old file': config(['config-set', ...PAIR, '--name=sync-jobs', '--value=2'], { [CONF]: old }),
  'old style: --config-set': config([...OLD_PAIR, '--config-set', 'log_level', '--value=WARNING']),
  'old style: --config-set, invalid': config([...OLD_PAIR, '--config-set', 'log_level', '--value=BAD']),
  'old style: --config-set of session-owner': config([...OLD_PAIR, '--config-set', 'session-owner', '--value=x']),
  'old style: --config-set-rx of the template': config(
    ['-c', '/var/lib/glusterd/geo-replication/gsyncd_template.conf', '--config-set-rx', 'a', 'b', '.', '.'],
    {},
  ),
  'old style: --config-set-rx of a session': config(['-c', CONF, '--config-set-rx', 'a', 'b', '.', '.'], {
    '/var/lib/glusterd/geo-replication/x': '',
  }),
  'config-reset': config(['config-reset', ...PAIR, 'log_level']),
  'config-reset of the last option': config(['config-reset', ...PAIR, 'sync-jobs'], {
    [CONF]: vars('sync-jobs = 1\n'),
  }),
  'config-reset of an option that is not set': config(['config-reset', ...PAIR, 'ssh-port']),
  'config-reset of everything': config(['config-reset', ...PAIR, 'all']),
  'config-reset of an unknown option': config(['config-reset', ...PAIR, 'no-such']),
  'config-reset without a session': config(['config-reset', ...PAIR, 'sync-jobs'], {}),
  'old style: --config-del': config([...OLD_PAIR, '--config-del', 'sync_jobs']),
  'config-check of a name': config(['config-check', 'log_level'], {}),
  'config-check of an internal option': config(['config-check', 'pid-file'], {}),
  'config-check of an unknown name': config(['config-check', 'no_such'], {}),
  'config-check of a value': config(['config-check', 'sync-jobs', '--value', '5'], {}),
  'config-check of a bad value': config(['config-check', 'sync-jobs', '--value=0'], {}),
  'old style: --config-check': config(['--config-check', 'use_meta_volume'], {}),
  'old style: --config-check of an unknown name': config(['--config-check', 'unknown-opt'], {}),
  'monitor-status': config(['monitor-status', ...PAIR, 'Paused'], session),
  'monitor-status over another': config(['monitor-status', ...PAIR, 'Stopped'], {
    ...session,
    [`${DIR}/monitor.status`]: 'Started\n',
  }),
  'old style: --create': config(['--create', 'Created', ...OLD_PAIR], { [`${DIR}/x`]: '' }),
  'old style: --verify spawning': config(['--verify', 'spawning', ':gv0', 'h1::sv0'], {}),
  'old style: --normalize-url': config(['--normalize-url', 'ssh://geo@h1::sv0:id'], {}),
  'old style: --canonicalize-url': config(['--canonicalize-url', 'ssh://geo@localhost::sv0', '10.0.0.1::sv1'], {}),
  '--version': config(['--version'], {}),
  'voluuidget of a host that does not answer': config(['voluuidget', '127.0.0.1', 'nosuch'], {}),
  delete: config(['delete', ...PAIR], {
    ...set,
    [`${DIR}/monitor.status`]: 'Stopped',
    '/var/lib/misc/gluster/gsyncd/gv0_h1_sv0/b/x': '1',
    '/var/lib/misc/gluster/gsyncd/gv1_h1_sv0/b/x': '1',
    [PID_FILE]: '1',
    [`${PID_FILE}.tmp`]: '',
    '/run/gluster/other': '',
  }),
  'delete of a missing session': config(['delete', ...PAIR], {}),
  'old style: --delete': config(
    ['--delete', '-c', CONF, '--iprefix=/var', '--path-list=--path=/srv/b/1 --path=/srv/b/2 ', ':gv0', 'h1::sv0'],
    set,
  ),
  'delete with --reset-sync-time': {
    files: { [CONF]: vars('stime-xattr-prefix = trusted.glusterfs.p.s\n'), '/srv/b1/f': '', '/srv/b2/f': '' },
    argv: [
      '--delete',
      '-c',
      CONF,
      '--iprefix=/var',
      '--path-list=--path=/srv/b1 --path=/srv/gone --path=/srv/b2 ',
      '--reset-sync-time',
      ':gv0',
      'h1::sv0',
    ],
    before: 'for n in stime entry_stime; do setfattr -n trusted.glusterfs.p.s.$n -v 0x6565656500000001 /srv/b1; done',
    after: 'getfattr -d -e hex -m . --absolute-names /srv/b1 /srv/b2',
  },
};

/** Cases in which stock prints a traceback: this program prints one line with the reason and has the same exit code. */
const ONE_LINE: Record<string, { test: TwinCase; line: RegExp }> = {
  'a session file that cannot be parsed': {
    test: config(['config-get', ...PAIR], { [CONF]: 'x = 1\n' }),
    line: /gsyncd\.conf:1/,
  },
  'a session file with an invalid number': {
    test: config(['status', ...PAIR, '--local-path', '/b'], { [CONF]: vars('sync-jobs = many\n') }),
    line: /sync-jobs = "many"/,
  },
  'an invalid secondary name': { test: config(['config-get', 'gv0', 'h1:sv0'], {}), line: /\[USER@\]HOST::VOLUME/ },
  'status of a session that does not exist': {
    test: { files: {}, argv: ['status', ...PAIR, '--local-path', '/b'] },
    line: /no such session/,
  },
  'status without a brick': { test: { files: session, argv: ['status', ...PAIR] }, line: /--local-path: missing/ },
  'monitor-status of a session that does not exist': {
    test: { files: {}, argv: ['monitor-status', ...PAIR, 'Stopped'] },
    line: /no such session/,
  },
  'a host that does not exist': {
    test: config(['--canonicalize-url', 'no.such.host.invalid::sv0'], {}),
    line: /cannot be resolved/,
  },
  'a missing argument': { test: config(['config-get', 'gv0'], {}), line: /secondary/ },
  'an unknown option': { test: config(['config-get', ...PAIR, '--nonsense'], set), line: /--nonsense/ },
};

/** The messages of the config commands, without Python's warnings. */
const sentences = (stderr: string): string[] =>
  stderr.split('\n').filter((line) => /^(Invalid|Not configurable)/.test(line));

describe.skipIf(lacks(noTwins === undefined, noTwins ?? '', "commands beside stock's"))(
  'this program gives the same result as the stock daemon for',
  { concurrent: true },
  () => {
    it.for(Object.entries(SAME))('%s', { timeout: 120_000 }, async ([, test], { expect }) => {
      const { stock, here } = await runTwins(test);
      expect({ ...here, stderr: sentences(here.stderr) }).toEqual({ ...stock, stderr: sentences(stock.stderr) });
    });
  },
);

describe.skipIf(noTwins !== undefined)(
  'this program prints one line and has the exit code of stock, which raises, for',
  { concurrent: true },
  () => {
    it.for(Object.entries(ONE_LINE))('%s', { timeout: 120_000 }, async ([, { test, line }], { expect }) => {
      const { stock, here } = await runTwins(test);
      expect(here.code).toBe(stock.code);
      expect(here.stdout).toBe(stock.stdout);
      expect(here.stderr.trim().split('\n')).toEqual([expect.stringMatching(line)]);
    });
  },
);

describe.skipIf(noTwins !== undefined)('config-set', () => {
  it.for([
    ['change-interval', 'soon'],
    ['use-meta-volume', 'yes'],
    ['special-sync-mode', 'wrapped'],
  ])(
    'refuses %s = %s, a value that would stop the worker from starting',
    { timeout: 120_000 },
    async ([name, value]) => {
      const { here } = await runTwins(config(['config-set', ...PAIR, `--name=${name}`, `--value=${value}`], session));
      expect({ code: here.code, stderr: here.stderr, file: here.files[CONF] }).toEqual({
        code: 3,
        stderr: `Invalid config value "${name}=${value}"\n`,
        file: session[CONF],
      });
    },
  );

  it('keeps comments and other sections, unlike stock', { timeout: 120_000 }, async () => {
    const text = '# mine\n[vars]\n# why\nsync-jobs = 2\n\n[notes]\na = b\n';
    const { here } = await runTwins(config(['config-set', ...PAIR, '--name=sync-jobs', '--value=4'], { [CONF]: text }));
    expect(here.files[CONF]).toBe(text.replace('2', '4'));
  });
});
