// Binds a Lab or a Cluster to the tests of a vitest `describe`: it is up before the first and gone after the last; when
// one of them failed, the logs are kept.
import { afterAll, afterEach, beforeAll } from 'vitest';
import { Cluster } from './cluster.js';
import type { ClusterOptions } from './cluster.js';
import { Lab } from './lab.js';
import type { LabOptions } from './lab.js';
import type { Pair } from './pair.js';

/** Registers the hooks and returns the access to the lab, which works inside tests only. */
export function useLab(options: LabOptions = {}): () => Lab {
  return use(() => Lab.start(options));
}

/** As useLab(), for several nodes. */
export function useCluster(options: ClusterOptions = {}): () => Cluster {
  return use(() => Cluster.start(options));
}

function use<T extends Pair>(start: () => Promise<T>): () => T {
  let lab: T | undefined;
  let outcome: 'passed' | 'failed' = 'passed';
  beforeAll(async () => {
    lab = await start();
  }, 180_000);
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') outcome = 'failed';
  });
  afterAll(async () => {
    await lab?.close(outcome);
  }, 60_000);
  return () => {
    if (lab === undefined) throw new Error('lab: not up');
    return lab;
  };
}
