// Wakes its waiters when something happens in a directory or an interval is over. An event is only a hint: the waiter
// reads the directory itself. The interval covers lost events and a system without free inotify watches.

import { watch, type FSWatcher } from 'node:fs';
import { fsEncode } from '../names.js';

export class DirectoryWatch {
  #watcher: FSWatcher | null = null;
  readonly #timer: NodeJS.Timeout;
  #wakeUp = newWakeUp();
  #closed = false;

  /** @param intervalMs longest time between two wake-ups */
  constructor(dir: string, intervalMs: number) {
    this.#timer = setInterval(() => this.#wake(), intervalMs);
    this.#timer.unref();
    try {
      this.#watcher = watch(fsEncode(dir), () => this.#wake());
      this.#watcher.on('error', () => this.#unwatch());
    } catch {
      this.#watcher = null;
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves at the next wake-up. Call it before reading the directory, or a change in between is missed. */
  next(): Promise<void> {
    return this.#wakeUp.promise;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#unwatch();
    this.#wake();
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = null;
  }

  #wake(): void {
    const wakeUp = this.#wakeUp;
    if (!this.#closed) this.#wakeUp = newWakeUp();
    wakeUp.settle();
  }
}

function newWakeUp(): { promise: Promise<void>; settle: () => void } {
  let settle = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    settle = resolve;
  });
  return { promise, settle };
}
