// Plain directories against real bricks. A real changelog translator and the recorder of plain directories record the same
// operations, one at a time with a rollover between them; their changelogs must decode to equal records. And the same trees
// and changes, replicated from volume to volume and from directory to directory, end as equal secondaries.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readHtime } from '../../src/changelog/htime.js';
import { decodeChangelog } from '../../src/changelog/decode.js';
import type { ChangeRecord } from '../../src/changelog/record.js';
import { openLayout } from '../../src/embedded/layout.js';
import { Recorder } from '../../src/embedded/recorder.js';
import { ROOT_GFID } from '../../src/protocol/gfid.js';
import { createLogger } from '../../src/log.js';
import { DIRECTORY_ATTRIBUTES, EVERY_TYPE, everyOperation, FILE_ATTRIBUTES, SPECIAL_FILES } from './lab/fixtures.js';
import type { Lab } from './lab/lab.js';
import { REPO } from './lab/machine.js';
import { compareTrees, describeComparison } from './lab/tree.js';
import { useLab } from './lab/use-lab.js';
import { WorkerHandle } from './lab/worker.js';

// With 1 s the translator overwrites its own changelogs.
const lab = useLab({ rolloverSeconds: 2 });

interface Step {
  /** One operation, or several on different inodes, whose order a scan does not see. */
  readonly run: string;
  /** The recorder's records, where they differ because a scan cannot see the operation or sees it otherwise. */
  readonly scan?: readonly string[];
  readonly why?: string;
}

const TEMP_PATH_PREFIX = /\.gsyncd-ts-parked-[0-9a-f-]{36}/g;
const FILE = '37777700644 0:0';
const BETWEEN = 'what was made and undone between two looks was never seen';
const FINAL = 'a new inode is seen with its final attributes';

const STEPS: readonly Step[] = [
  { run: ': >empty' },
  { run: 'printf data >file' },
  { run: 'printf more >>file; mkdir dir' },
  { run: 'truncate -s 2 file; chmod 0700 dir' },
  { run: 'printf X | dd of=file bs=1 seek=1 conv=notrunc status=none; chown 1000:100 dir' },
  { run: 'chmod 0640 file; setfattr -n user.dir -v yes dir' },
  { run: 'chown 1000:100 file; setfattr -n user.dir -v no dir' },
  {
    run: `touch -d '2003-03-03 03:03:03' file`,
    scan: ['D /file', 'M SETATTR /file'],
    why: 'a time that was set may hide a write',
  },
  { run: 'setfattr -n user.comment -v hello file' },
  { run: 'setfattr -x user.comment file; setfattr -x user.dir dir' },
  {
    run: 'setfacl -m u:1000:rw file',
    scan: ['M SETATTR /file', 'M SETXATTR /file'],
    why: 'an ACL changes the mode, too',
  },
  {
    run: 'setfacl -b file',
    scan: ['M REMOVEXATTR /file', 'M SETATTR /file'],
    why: 'an ACL changes the mode, too, and setting one that says no more than the mode looks like removing it',
  },
  { run: 'mkdir -m 2750 dir/inner', scan: ['E MKDIR /dir/inner 42750 0:0 at /dir/inner'], why: FINAL },
  { run: 'mv file dir/moved; mv empty dir/inner/empty; printf over >over; printf under >under' },
  { run: 'mv over under; ln dir/moved linked' },
  { run: 'mv linked dir/inner/linked; ln -s dir/moved sym; ln -s nowhere dangling' },
  { run: 'printf y >>dir/inner/linked; chown -h 1000:100 sym; mv dangling dir/dangling' },
  {
    run: `mkfifo fifo; mknod char c 1 3; mknod block b 7 200; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'`,
  },
  { run: 'chmod 0600 fifo; chown 1000:100 char; mv block block2; rm sym' },
  { run: 'mv char char2; ln fifo dir/fifo; mv dir/inner inner' },
  { run: 'rm dir/fifo inner/linked' },
  { run: 'mkdir full; mkdir full/sub; printf a >full/a; printf b >full/sub/b' },
  { run: 'mv full dir/full' },
  { run: 'mv dir renamed; mkdir target; mkdir source' },
  { run: 'rm -r renamed/full; mv -T source target' },
  { run: 'rmdir target; truncate -s 1M sparse; umask 077; printf secret >secret' },
  {
    run: 'install -m 0755 /etc/hostname installed',
    scan: ['D /installed', 'E CREATE /installed 37777700755 0:0 at /installed'],
    why: FINAL,
  },
  {
    run: 'fallocate -l 4096 allocated',
    scan: ['D /allocated', `E CREATE /allocated ${FILE} at /allocated`],
    why: 'the translator records no fallocate',
  },
  {
    run: String.raw`printf a >'with space'; printf b >'per%cent%20'; printf c >$'new\nline'; printf d >$'b\xff'; ln -s $'t\xfd' $'s\xfe'`,
  },
  { run: String.raw`mv $'b\xff' $'c\xfe'; printf 1 >swap-a; printf 2 >swap-b` },
  {
    run: 'mv swap-a swap-t; mv swap-b swap-a; mv swap-t swap-b',
    scan: [
      'E RENAME /swap-a at /TEMP_NAME to /swap-b',
      'E RENAME /swap-a at /swap-a to /TEMP_NAME',
      'E RENAME /swap-b at /swap-b to /swap-a',
    ],
    why: 'the name between was never seen: another one stands for it',
  },
  {
    run: 'printf t >.edit.tmp; mv .edit.tmp under',
    scan: ['D /under', `E CREATE /under ${FILE} at /under`, 'E UNLINK /over at /under'],
    why: BETWEEN,
  },
  { run: 'printf g >gone; rm gone', scan: [], why: BETWEEN },
  { run: 'rm block2 char2 fifo socket; rm -r inner renamed' },
];

/** Records with gfids written as the name that the inode was created with. */
class Changelogs {
  readonly #dir: string;
  readonly #births = new Map<string, string>([[ROOT_GFID, '']]);
  #seen = 0;

  constructor(changelogDir: string) {
    this.#dir = changelogDir;
  }

  /** How many intervals are listed. */
  async intervals(): Promise<number> {
    return (await readHtime(join(this.#dir, 'htime'))).entries.length;
  }

  /** Records of the intervals that ended since the last call, sorted. */
  async news(): Promise<string[]> {
    const { entries } = await readHtime(join(this.#dir, 'htime'));
    const fresh = entries.slice(this.#seen).filter(({ isEmpty }) => !isEmpty);
    this.#seen = entries.length;
    return fresh
      .flatMap(({ path }) => {
        const file = join(this.#dir, path.slice(path.indexOf('/changelogs/') + '/changelogs/'.length));
        return decodeChangelog(readFileSync(file), file).map((record) => this.#tell(record));
      })
      .sort();
  }

  #tell(record: ChangeRecord): string {
    if (record.type === 'entry' && !this.#births.has(record.gfid))
      this.#births.set(record.gfid, `${this.#of(record.parent)}/${record.name}`);
    const inode = this.#of(record.gfid);
    if (record.type === 'data') return `D ${inode}`;
    if (record.type === 'meta') return `M ${record.fop} ${inode}`;
    const { fop, parent, name, mode, uid, gid, newParent, newName } = record;
    const made = mode === undefined ? '' : ` ${mode.toString(8)} ${uid}:${gid}`;
    const to = newParent === undefined ? '' : ` to ${this.#of(newParent)}/${newName}`;
    return `E ${fop} ${inode}${made} at ${this.#of(parent)}/${name}${to}`.replaceAll(TEMP_PATH_PREFIX, 'TEMP_NAME');
  }

  #of(gfid: string): string {
    return this.#births.get(gfid) ?? gfid;
  }
}

describe('records', () => {
  let dir: string;
  let recorder: Recorder;

  beforeAll(async () => {
    dir = mkdtempSync('/var/tmp/gsyncd-conformance-');
    const log = createLogger({ destination: '/dev/null', level: 'ERROR', label: 'test' }).child({ module: 'test' });
    recorder = new Recorder({ layout: await openLayout(dir), log, rolloverMs: 15_000 });
    await recorder.open();
  });

  afterAll(async () => {
    await recorder.close();
    rmSync(dir, { recursive: true });
  });

  test('the recorder writes the same records as the changelog translator', async () => {
    const real = new Changelogs(`${lab().box.outside(lab().bricks[0] ?? '')}/.glusterfs/changelogs`);
    const embedded = new Changelogs(join(dir, '.glusterfs', 'changelogs'));
    await real.news();
    const expected: unknown[] = [];
    const found: unknown[] = [];
    for (const { run, scan, why } of STEPS) {
      await Promise.all([lab().sh(run), promisify(execFile)('bash', ['-euc', run], { cwd: dir })]);
      const before = await real.intervals();
      // Longer than one tick of the clock that the kernel takes file times from.
      await sleep(25);
      await recorder.flush();
      found.push([run, ...(await embedded.news())]);
      while ((await real.intervals()) === before) await sleep(20);
      const records = await real.news();
      expected.push([run, ...(scan ?? records)]);
      if (scan !== undefined)
        expect(records, `${run}: is the same by now, but was not to be since ${why}`).not.toEqual(scan);
    }
    expect(found).toEqual(expected);
  });
});

describe('trees', () => {
  test('a volume and a plain directory end as equal secondaries', async () => {
    const { box } = lab();
    await lab().useOwnSecondary();
    await lab().sh('rm -rf ./[!.]*; mkdir -p /srv/a /srv/b');
    const { prepare, change } = everyOperation('every');
    const onBoth = (script: string): Promise<unknown> => Promise.all([lab().sh(script), box.sh(script, '/srv/a')]);
    for (const tree of [EVERY_TYPE, FILE_ATTRIBUTES, SPECIAL_FILES, DIRECTORY_ATTRIBUTES, prepare]) await onBoth(tree);
    const worker = lab().startWorker({ args: await ownPeer(lab()) });
    const log = '/var/log/glusterfs/embedded.log';
    const argv = [
      process.execPath,
      join(REPO, 'bin/gsyncd-ts.js'),
      'worker',
      'file:///srv/a',
      'file:///srv/b',
      '--state-dir',
      '/srv/state',
      '--log-file',
      log,
    ];
    const embedded = new WorkerHandle(box.start(argv), box.outside(log));
    const converged = async (): Promise<void> => {
      // The link under `.gfid` adds one to nlink.
      const local = compareTrees(box, '/srv/a', '/srv/b', { waitMs: 60_000, ignore: ['nlink'] });
      const [ours] = await Promise.all([local, lab().waitConverged(60_000)]);
      expect(describeComparison(ours)).toMatch(/^equal/);
      // Both trees were written at different times.
      const both = await compareTrees(box, lab().secondary, '/srv/b', { ignore: ['nlink', 'mtime'] });
      expect(describeComparison(both)).toMatch(/^equal/);
    };
    await converged();
    await onBoth(change);
    await converged();
    await Promise.all([worker.stop(), embedded.stop()]);
  });
});

/** Arguments of a worker whose secondary is this project's. */
async function ownPeer(at: Lab): Promise<string[]> {
  const id = /volume-id=(.*)/.exec(await at.read('/var/lib/glusterd/vols/sv0/info'))?.[1] ?? '';
  return ['--secondary-id', id, '--resource-remote', '10.77.0.1', '--resource-remote-id', 'unknown'];
}
