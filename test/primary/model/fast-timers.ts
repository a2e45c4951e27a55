// Timers that pass at once, and a clock that passes with them: the worker's pauses cost a model nothing. For test
// files that run model pairs, whose volumes take their time from this clock too.

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

/** Lets time pass. Only where useFastTimers() is in force. */
export function passTime(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}
