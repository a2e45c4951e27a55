// Third-party workloads from Debian's packages, on a primary of two bricks and a distributed and replicated secondary, all
// XFS. Each runs before the first sync, while the workers are stopped, live, and with a worker killed meanwhile. The trees
// have to be equal, and the program's own check has to give the same result on copies of both.
//   FOREIGN_LAYOUT=one-brick   one brick a side instead
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab } from '../gluster/lab/lab.js';
import { REPO } from '../gluster/lab/machine.js';
import type { WorkerHandle } from '../gluster/lab/worker.js';

const ONE_BRICK = process.env['FOREIGN_LAYOUT'] === 'one-brick';
const BRICKS = ONE_BRICK ? [0] : [0, 1];
const CONVERGE_MS = 400_000;
const ROUNDS = ['first sync', 'stopped', 'live', 'killed'] as const;
const BUNDLE = '/srv/project.bundle';

interface Workload {
  /** A script to run in the workload's directory on the primary; `round` counts from 0. */
  readonly run: (round: number) => string;
  /** A script to run in a copy of that directory. Its output must be the same for both sides. */
  readonly check?: (round: number) => string;
}

const fio = (round: number, more: string): string =>
  `fio --name=job --directory=. --nrfiles=4 --numjobs=2 --size=8m --rw=randwrite --bsrange=4k-64k --ioengine=psync --verify=crc32c --randseed=${round} ${more} >fio.log 2>&1 || { cat fio.log; false; }; rm fio.log`;

/** Kills the program with all its processes after `seconds`, which leaves unfinished files. */
const killedAfter = (seconds: number, command: string): string =>
  `setsid ${command} >/dev/null 2>&1 & sleep ${seconds}; pkill -9 -s $! || true; wait || true`;

const SQLITE = (round: number): string => `python3 - <<'END' || true
import os, random, sqlite3
db = sqlite3.connect('wal.db', timeout=60)
db.execute('pragma journal_mode=wal'); db.execute('create table if not exists t (k integer primary key, round int, v blob)')
rng = random.Random(${round})
for i in range(300):
    with db: db.executemany('insert into t (round, v) values (?, ?)', [(${round}, os.urandom(rng.randrange(2000))) for _ in range(5)])
    if i % 10 == 0:
        with db: db.execute('update t set v = ? where k % 97 = ?', (os.urandom(500), i))
    if i % 100 == 99: db.execute('pragma wal_checkpoint(passive)').fetchall()
os.kill(os.getpid(), 9)  # so that the log stays
END`;

const WORKLOADS: Readonly<Record<string, Workload>> = {
  git: {
    run: (round) => `[ -d repo ] || git clone -q ${BUNDLE} repo; cd repo
revisions=($(git rev-list --all --reverse)); git checkout -q -f "\${revisions[$(( \${#revisions[@]} * ${[9, 2, 7, 4][round]} / 10 ))]}"
[ ${round} != 1 ] || git gc -q --prune=now; [ ${round} != 2 ] || { git checkout -q -b side-${round}; git -c user.name=t -c user.email=t@t commit -q --allow-empty -m side; }`,
    check: () =>
      'cd repo; git fsck --full --no-progress; git status --porcelain; git log --oneline -1; git ls-files -s | sha256sum',
  },
  fio: {
    run: (round) => fio(round, '--do_verify=0'),
    check: (round) => fio(round, '--verify_only'),
  },
  'stress-ng': {
    run: (round) =>
      killedAfter(25, `stress-ng --class filesystem --sequential 1 --timeout 1 --temp-path . --seed ${round}`),
  },
  dbench: { run: () => killedAfter(12, 'dbench -D . -t 60 4') },
  sqlite: {
    run: SQLITE,
    check: () =>
      `python3 -c "import sqlite3; db = sqlite3.connect('wal.db'); print(db.execute('pragma integrity_check').fetchall(), db.execute('select count(*), sum(length(v)), sum(round) from t').fetchall())"`,
  },
};

describe.each(Object.entries(WORKLOADS))('%s', (name, { run, check }) => {
  let lab: Lab;
  let workers: WorkerHandle[] = [];
  let outcome: 'passed' | 'failed' = 'failed';
  const start = (): void => {
    workers = BRICKS.map((brick) => lab.startWorker({ brick }));
  };
  const work = (round: number): Promise<string> => lab.sh(`mkdir -p ${name}; cd ${name}\n${run(round)}`);
  const checked = (root: string, round: number): Promise<string> =>
    lab.sh(`rm -rf /srv/copy; cp -a ${root}/${name} /srv/copy; cd /srv/copy\n${check?.(round) ?? ''}`, '/srv');

  beforeAll(async () => {
    lab = await Lab.start({
      bricks: BRICKS.length,
      ...(ONE_BRICK ? {} : { secondary: { bricks: 4, layout: 'pairs' } }),
      gsyncd: 'ours',
      brickDisks: 'xfs',
    });
    await promisify(execFile)('git', ['-C', REPO, 'bundle', 'create', '-q', lab.box.outside(BUNDLE), '--all']);
  });
  afterAll(() => lab.close(outcome));

  test.each(ROUNDS.map((title, round) => ({ title, round })))('$title', async ({ round }) => {
    outcome = 'failed';
    if (round === 1) for (const worker of workers) await worker.stop();
    const done = work(round);
    done.catch(() => undefined); // it is awaited below
    if (round === 3) {
      await sleep(4_000);
      await workers[0]!.kill();
      workers[0] = lab.startWorker({ brick: 0 });
    }
    await done;
    if (round < 2) start();
    await lab.waitConverged(CONVERGE_MS);
    expect(await checked(lab.secondary, round)).toBe(await checked(lab.primary, round));
    for (const brick of BRICKS) expect((await lab.status(brick))['failures']).toBe(0);
    outcome = 'passed';
  });
});
