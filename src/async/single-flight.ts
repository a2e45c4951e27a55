// Single flight: concurrent callers share one call and its result. A shared call starts only after all its callers asked.
// At most one call runs while one waits.

export class SingleFlight<T> {
  readonly #call: () => Promise<T>;
  #current: Promise<unknown> = Promise.resolve();
  #next: Promise<T> | null = null;

  constructor(call: () => Promise<T>) {
    this.#call = call;
  }

  /** @throws the error of the shared call, to each of its callers */
  ask(): Promise<T> {
    this.#next ??= this.#current.then(
      () => this.#start(),
      () => this.#start(),
    );
    return this.#next;
  }

  #start(): Promise<T> {
    const running = this.#call();
    this.#current = running;
    this.#next = null;
    return running;
  }
}
