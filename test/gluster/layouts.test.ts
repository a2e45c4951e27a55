// Volumes whose bricks do not each hold whole files: dispersed over three bricks, and replicated with an arbiter brick
// that holds names only. The session is glusterd's own, on an installed gsyncd: one worker per brick, one of them active.
import { describe, expect, test } from 'vitest';
import { EVERY_TYPE, everyOperation } from './lab/fixtures.js';
import type { LabOptions } from './lab/lab.js';
import { useLab } from './lab/use-lab.js';

const layouts: readonly LabOptions[] = [{ layout: 'disperse' }, { layout: 'arbiter', config: { 'sync-method': 'tarssh' } }];

describe.each(layouts)('$layout', (options) => {
  const lab = useLab({ bricks: 3, metaVolume: 'shared', gsyncd: 'ours', ...options });

  test('one of three workers is active, and a first sync and live changes arrive', async () => {
    await lab().sh(EVERY_TYPE);
    await lab().sh(everyOperation('live').prepare);
    await lab().session(['start']);
    await lab().until('one active, two passive workers', async () => {
      const { stdout } = await lab().session(['status']);
      return (stdout.match(/ Active /g) ?? []).length === 1 && (stdout.match(/ Passive /g) ?? []).length === 2;
    }, 90_000);
    await lab().waitConverged(120_000);
    await lab().sh(everyOperation('live').change);
    const { entries } = await lab().waitConverged(120_000);
    expect(entries).toBeGreaterThan(100);
    await lab().session(['stop']);
    await lab().assertNoMountsLeft();
  });
});
