// Timers that pass at once, and a clock that passes with them: the worker's pauses cost a model nothing. For test
// files that run model pairs.

import { afterAll, beforeAll, vi } from 'vitest';

export function useFastTimers(): void {
  beforeAll(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    vi.setTimerTickMode('nextTimerAsync');
  });
  afterAll(() => {
    vi.useRealTimers();
  });
}
