// Single flight: concurrent callers share one call and its result. A shared call starts only after all its callers asked.
// At most one call runs while one waits.

export class SingleFlight<T> {
  readonly #put: () => Promise<T>;
  #current: Promise<unknown> = Promise.resolve();
  #next: Promise<T> | null = null;

  constructor(put: () => Promise<T>) {
    this.#put = put;
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
    const asked = this.#put();
    this.#current = asked;
    this.#next = null;
    return asked;
  }
}
