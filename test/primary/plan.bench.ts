// How fast changelogs are read and planned. One iteration handles 100,000 records, so its rate in iterations a second
// is the rate in 100,000 records a second; the goal is one. Run with `npx vitest bench --project unit test/primary`.

import { bench, describe } from 'vitest';
import { planningSteps } from './planning-steps.js';

describe('100,000 records', () => {
  for (const [step, run] of Object.entries(planningSteps())) bench(step, run);
});
