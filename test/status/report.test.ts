import { describe, expect, it } from 'vitest';
import { statusReport } from '../../src/status/report.js';

const FILE = {
  secondary_node: 'n',
  worker_status: 'Active',
  last_synced: 1_700_000_100,
  last_synced_entry: 1_700_000_090,
  crawl_status: 'Changelog Crawl',
  entry: 0,
  data: 0,
  meta: 0,
  failures: 1,
  checkpoint_completed: 'Yes',
  checkpoint_time: 1_600_000_000,
  checkpoint_completion_time: 1_600_000_010,
};
const completed = (file: object, checkpoint: number): unknown =>
  statusReport({ file: { ...FILE, ...file }, monitor: { state: 'Started', isRunning: true }, checkpoint }).get(
    'checkpoint_completed',
  );

describe('a checkpoint before last_synced', () => {
  it.each([{}, { failures: 0 }, { checkpoint_completed: 'No', checkpoint_time: 0 }])(
    'is not completed until the worker completes this checkpoint: %j',
    (file) => {
      expect(completed(file, 1_700_000_050)).toBe('No');
    },
  );

  it('has the state that the worker wrote for it', () => {
    expect(completed({}, 1_600_000_000)).toBe('Yes');
    expect(completed({ checkpoint_completed: 'No' }, 1_600_000_000)).toBe('No');
  });
});
