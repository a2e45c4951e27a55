import { test } from 'vitest';
import { lacks } from '../../skip.js';

/** Whether tests that are slow, or about what happens rarely, run too. */
export const NIGHTLY = !lacks(process.env['NIGHTLY'] !== undefined, 'NIGHTLY is not set', 'what is slow or rare, on real volumes');

/** A test that runs then alone. */
export const nightly = test.runIf(NIGHTLY);
