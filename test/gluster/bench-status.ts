// The phase `status` of the benchmark: the commands that glusterd runs for each brick to show a session's status, with the
// stock gsyncd and with this one, on the same copied session with a running monitor. Runs alternate, so that both meet the
// same load, and the environment is as empty as glusterd's.
import { BIN, runOne, STOCK_GSYNCD } from '../cli/stock-twin.js';

const RUNS = 30;
const SESSION = '/var/lib/glusterd/geo-replication/gv0_backup_sv0';
const LOCKED = '/run/gluster/gsyncd-gv0-backup-sv0.pid';
const BRICK = {
  secondary_node: 'backup',
  worker_status: 'Active',
  last_synced: 1764000000,
  last_synced_entry: 1764000000,
  crawl_status: 'Changelog Crawl',
  entry: 0,
  data: 0,
  meta: 0,
  failures: 0,
  checkpoint_completed: 'N/A',
  checkpoint_time: 0,
  checkpoint_completion_time: 0,
};
const FILES = {
  [`${SESSION}/gsyncd.conf`]: '[vars]\nsync-jobs = 3\nsession-owner = 00000000-0000-0000-0000-000000000000\n',
  [`${SESSION}/monitor.status`]: 'Started',
  [`${SESSION}/brick_%2Fbricks%2Fb1.status`]: JSON.stringify(BRICK),
};
const CALLS = {
  '--version': '--version',
  '--status-get': `--status-get -c ${SESSION}/gsyncd.conf --iprefix=/var :gv0 backup::sv0 --path /bricks/b1`,
  status: 'status gv0 backup::sv0 --local-path /bricks/b1',
};

interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** One line for each call, with milliseconds of stock, of this project, and their ratio. */
export async function statusCalls(): Promise<string[]> {
  const lines = ['\nstatus calls, ms: stock, gsyncd-ts, ratio'];
  for (const [name, call] of Object.entries(CALLS)) {
    const { stock, here } = await byTurns(call);
    const cells = (['wallMs', 'cpuMs'] as const).flatMap((field) =>
      (['best', 'median'] as const).map((which) => {
        const [a, b] = [pick(stock, field, which), pick(here, field, which)];
        return `${which} ${field} ${a.toFixed(0)} ${b.toFixed(0)} ${(b / a).toFixed(2)}`;
      }),
    );
    lines.push(`${name.padEnd(14)} ${cells.map((cell) => cell.padEnd(28)).join(' ')}`);
  }
  return lines;
}

async function byTurns(call: string): Promise<{ stock: Cost[]; here: Cost[] }> {
  const loop = `TIMEFORMAT='%R %U %S'; for ((i = 0; i < ${RUNS}; i++)); do
    time env -i ${STOCK_GSYNCD} ${call} >/dev/null 2>&1
    time env -i ${process.execPath} ${BIN} ${call} >/dev/null 2>&1
  done`;
  const { stderr } = await runOne({ files: FILES, argv: [], locked: LOCKED }, ['bash', '--norc', '-c', loop]);
  const costs = stderr
    .trim()
    .split('\n')
    .map((line): Cost => {
      const [real = NaN, user = NaN, system = NaN] = line.split(' ').map(Number);
      return { wallMs: real * 1000, cpuMs: (user + system) * 1000 };
    });
  if (costs.length !== 2 * RUNS || costs.some(({ wallMs }) => Number.isNaN(wallMs)))
    throw new Error(`bench: status: ${stderr.slice(0, 500)}`);
  return { stock: costs.filter((_, i) => i % 2 === 0), here: costs.filter((_, i) => i % 2 === 1) };
}

function pick(costs: readonly Cost[], field: keyof Cost, which: 'best' | 'median'): number {
  const sorted = costs.map((cost) => cost[field]).sort((a, b) => a - b);
  return sorted[which === 'best' ? 0 : sorted.length >> 1] ?? NaN;
}
