// The flags of the worker command and the plan that it makes from them, for bricks of Gluster volumes and for plain
// directories.

import type { Config } from '../config/config.js';
import type { FindEndpoints } from '../worker/endpoints.js';
import type { RootLog } from '../log.js';
import type { MetricsFlags } from './metrics-options.js';

export interface WorkerFlags extends MetricsFlags {
  readonly localPath?: string;
  readonly localNode?: string;
  readonly localNodeId?: string;
  readonly subvolNum?: number;
  readonly isHottier?: true;
  readonly removedBrick?: true;
  readonly resourceRemote?: string;
  readonly resourceRemoteId?: string;
  readonly secondaryId?: string;
  readonly slaveId?: string;
  readonly feedbackFd?: number;
  readonly configFile?: string;
  readonly logFile?: string;
  readonly debug?: true;
  readonly stateDir?: string;
  readonly rolloverTime?: number;
}

/** The worker to run, and its arguments. */
export interface WorkerPlan {
  readonly config: Config;
  /** For the lines of the log: `worker …` */
  readonly label: string;
  readonly findEndpoints: (log: RootLog) => Promise<FindEndpoints>;
}
