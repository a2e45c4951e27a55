// Binds a Lab to the tests of a vitest `describe`: it is up before the first and gone after the last; when one of them
// failed, the logs are kept.
import { afterAll, afterEach, beforeAll } from 'vitest';
import { Lab } from './lab.js';
import type { LabOptions } from './lab.js';

/** Registers the hooks and returns the access to the lab, which works inside tests only. */
export function useLab(options: LabOptions = {}): () => Lab {
  let lab: Lab | undefined;
  let outcome: 'passed' | 'failed' = 'passed';
  beforeAll(async () => {
    lab = await Lab.start(options);
  }, 120_000);
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
