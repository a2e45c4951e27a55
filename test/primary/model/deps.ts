// The dependencies of the primary's classes in tests: the model's parts where they matter, and no-ops elsewhere.

import { loadConfig } from '../../../src/config/config.js';
import type { OptionName } from '../../../src/config/options.js';
import { savePendingCrawl } from '../../../src/worker/pending-crawl.js';
import { GsyncdError } from '../../../src/errors.js';
import type { PrimaryDeps, PrimaryStatus } from '../../../src/primary/deps.js';
import { ReplayTracker } from '../../../src/primary/reconcile/replay-tracker.js';
import { NODE_UUID } from './primary-side.js';
import type { ModelTransfer } from './data.js';

export interface ModelParts extends Pick<
  PrimaryDeps,
  'volume' | 'brick' | 'secondary' | 'agent' | 'failures' | 'workingDir' | 'canRecreateRenamed'
> {
  readonly transfer: ModelTransfer;
  readonly onLog?: (line: string) => void;
  readonly config?: Partial<Record<OptionName, string>>;
}

export function nowS(): number {
  return Math.floor(Date.now() / 1000);
}

export function modelDeps({ transfer, onLog, config, ...parts }: ModelParts): PrimaryDeps {
  const log = (message: string, fields?: Readonly<Record<string, unknown>>): void =>
    onLog?.(`${message} ${JSON.stringify(fields)}`);
  const unused = (): never => {
    throw new GsyncdError('model: engine: not used', { code: 'fault' });
  };
  return {
    ...parts,
    config: loadConfig({
      defaultsFile: '/dev/null',
      templateArgs: {},
      overrides: { 'max-rsync-retries': '3', ...config },
    }),
    session: {
      primary: 'gv0',
      secondaryVolume: 'sv0',
      secondaryHost: 'host',
      localPath: '/bricks/b1',
      localNode: 'node',
      localNodeId: NODE_UUID,
      subvolNum: 1,
      hotTier: false,
      resourceRemote: 'root@host',
      secondaryId: 'aaaaaaaa-2222-4333-8444-555555555555',
    },
    queue: transfer,
    engines: { rsync: unused, tarssh: unused, attributes: () => ({ sync: (gfids) => transfer.syncAttributes(gfids) }) },
    status: SILENT_STATUS,
    log: { debug: log, info: log, warn: log, error: log },
    peerNames: 'utf8',
    replayTracker: new ReplayTracker(),
    readToEnd: () => Promise.resolve(),
    mountSelector: { expectChangesUntil: () => undefined },
    addPendingCrawl: (from) => savePendingCrawl(parts.workingDir, { since: nowS(), from }),
    electByMetaVolume: () => Promise.resolve(true),
  };
}

const SILENT_STATUS: PrimaryStatus = {
  setActive: () => Promise.resolve(),
  setPassive: () => Promise.resolve(),
  setCrawlStatus: () => Promise.resolve(),
  setSecondaryNode: () => Promise.resolve(),
  addCounts: () => undefined,
  setFailures: () => undefined,
  setLastSynced: () => Promise.resolve(),
  setLastSyncedEntry: () => Promise.resolve(),
  flush: () => Promise.resolve(),
};
