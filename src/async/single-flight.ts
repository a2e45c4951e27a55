// Single flight: callers that ask at the same time share one answer. Each answer belongs to a question that was put after its
// callers asked: at most one question is under way, and one waits.

export class SingleFlight<T> {
  readonly #put: () => Promise<T>;
  #current: Promise<unknown> = Promise.resolve();
  #next: Promise<T> | null = null;

  constructor(put: () => Promise<T>) {
    this.#put = put;
  }

  /** @throws what the question throws, to all who share it */
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
