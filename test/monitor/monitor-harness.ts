// A monitor in this process with fake workers, and volumes that a test can change.
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../../src/config/config.js';
import { Monitor, type MonitorOptions } from '../../src/monitor/monitor.js';
import type { VolumeSource } from '../../src/monitor/volumes.js';
import type { VolumeInfo } from '../../src/gluster/volinfo.js';
import { createLogger } from '../../src/log.js';
import { statusFileName } from '../../src/status/file-name.js';
import { readStatus, type StatusData } from '../../src/status/status-file.js';

export type Mode = 'dies' | 'silent' | 'serves' | 'stubborn';

export interface Started {
  readonly pid: number;
  readonly args: string;
}

export function volume(
  id: string,
  bricks: readonly (readonly [node: string, host: string, path: string])[],
): VolumeInfo {
  return {
    name: id,
    id,
    type: 'Distribute',
    status: 'Started',
    bricks: bricks.map(([hostUuid, host, path]) => ({ host, path, hostUuid, isArbiter: false })),
    replicaCount: 1,
    disperseCount: 0,
    arbiterCount: 0,
    distributionCount: bricks.length,
    options: {},
  };
}

export class Harness {
  readonly dir = mkdtempSync(join(tmpdir(), 'monitor-'));
  readonly confFile = join(this.dir, 'gsyncd.conf');
  /** Results of the volume sources; they throw an Error. */
  primary: VolumeInfo = volume('P', [
    ['me', 'node1', '/b/1'],
    ['other', 'node2', '/b/2'],
    ['me', 'node1', '/b/3'],
  ]);
  secondary: VolumeInfo | Error = volume('S', [['s1', '127.0.0.1', '/s/1']]);
  readonly #stop = new AbortController();
  #server: Server | null = null;
  #running: Promise<void> = Promise.resolve();

  /** Starts the monitor; its workers behave as `mode` says. */
  async start(mode: Mode, times: NonNullable<MonitorOptions['times']> = {}): Promise<void> {
    this.setMode(mode);
    // The stand-in for the secondary's sshd listens on one address only.
    this.#server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    mkdirSync(join(this.dir, 'session'));
    const vars = {
      'state-file': join(this.dir, 'session', 'monitor.status'),
      'glusterd-workdir': join(this.dir, 'glusterd'),
      'ssh-port': port,
    };
    writeFileSync(
      this.confFile,
      `[vars]\n${Object.entries(vars)
        .map(([name, value]) => `${name} = ${value}\n`)
        .join('')}`,
    );
    const volumes: VolumeSource = {
      primary: () => Promise.resolve(this.primary),
      secondary: () =>
        this.secondary instanceof Error ? Promise.reject(this.secondary) : Promise.resolve(this.secondary),
    };
    const monitor = new Monitor({
      primary: 'gv0',
      secondary: 'geo@backup::sv0',
      localNodeId: 'me',
      config: loadConfig({ sessionFile: this.confFile, templateArgs: {} }),
      configFile: this.confFile,
      log: createLogger({ destination: this.logFile, level: 'DEBUG', label: 'monitor' }),
      debug: false,
      volumes,
      workerCommand: [join(import.meta.dirname, '..', 'fixtures', 'bin', 'fake-worker'), this.dir],
      times: {
        volumeCheckMs: 200,
        acknowledgeMs: 10_000,
        stopMs: 5_000,
        backoff: { firstMs: 50, maxMs: 400, stableMs: 60_000 },
        ...times,
      },
    });
    this.#running = monitor.run(this.#stop.signal);
  }

  get logFile(): string {
    return join(this.dir, 'monitor.log');
  }

  log(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : '';
  }

  setMode(mode: Mode): void {
    writeFileSync(join(this.dir, 'mode'), mode);
  }

  /** All workers started so far, or those of `brick`. */
  started(brick = ''): Started[] {
    const file = join(this.dir, 'started');
    const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
    return lines.flatMap((line) => {
      const [pid = '', ...args] = line.split(' ');
      const text = args.slice(1).join(' ');
      return text.includes(`--local-path ${brick}`) ? [{ pid: Number(pid), args: text }] : [];
    });
  }

  status(brick: string): Promise<StatusData> {
    return readStatus(join(this.dir, 'session', statusFileName(brick)));
  }

  async until(what: string, test: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await test())) {
      if (Date.now() > deadline) throw new Error(`${what}: not after ${timeoutMs} ms\n${this.log()}`);
      await sleep(20);
    }
  }

  /** Stops the monitor and waits for its end. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async close(): Promise<void> {
    await this.stop();
    this.#server?.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export function isAlive(pid: number): boolean {
  try {
    // A zombie is not alive.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

export function processGroup(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return Number(fields[2]);
}
