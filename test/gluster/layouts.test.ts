// Volumes whose bricks do not each hold whole files: dispersed over three bricks, and replicated with an arbiter brick
// that holds names only. One worker per brick, of which one is active.
import { describe, test } from 'vitest';
import { EVERY_TYPE, everyOperation } from './lab/fixtures.js';
import type { LabOptions } from './lab/lab.js';
import { useLab } from './lab/use-lab.js';

const layouts: readonly LabOptions[] = [{ layout: 'disperse' }, { layout: 'arbiter', config: { 'sync-method': 'tarssh' } }];

describe.each(layouts)('$layout', (options) => {
  const lab = useLab({ bricks: 3, metaVolume: 'shared', ...options });

  test('a first sync and live changes arrive', async () => {
    await lab().sh(EVERY_TYPE);
    await lab().sh(everyOperation('live').prepare);
    const workers = [0, 1, 2].map((brick) => lab().startWorker({ brick }));
    await lab().waitConverged(120_000);
    await lab().sh(everyOperation('live').change);
    await lab().waitConverged(120_000);
    for (const worker of workers) await worker.stop();
    await lab().assertNoMountsLeft();
  });
});
