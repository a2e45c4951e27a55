// Wakes its waiters when something happens in a directory or an interval is over. An event is only a hint: the waiter
// reads the directory itself. The interval covers lost events and a system without free inotify watches.

import { watch, type FSWatcher } from 'node:fs';
import { fsEncode } from '../names.js';

export class DirectoryWatch {
  #watcher: FSWatcher | null = null;
  readonly #timer: NodeJS.Timeout;
  #turn = newTurn();
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
    return this.#turn.ended;
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
    const turn = this.#turn;
    if (!this.#closed) this.#turn = newTurn();
    turn.end();
  }
}

function newTurn(): { ended: Promise<void>; end: () => void } {
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { ended, end };
}
