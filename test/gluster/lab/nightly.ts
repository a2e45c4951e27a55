import { test } from 'vitest';
import { lacks } from '../../skip.js';

/** Whether tests that are slow or about rare events run, too. */
export const NIGHTLY = !lacks(
  process.env['NIGHTLY'] !== undefined,
  'NIGHTLY is not set',
  'what is slow or rare, on real volumes',
);

/** A test that runs only then. */
export const nightly = test.runIf(NIGHTLY);
