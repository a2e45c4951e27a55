// Clean-up actions for every kind of end: mounts, mount points, children, directories.

/** Runs its steps last-in first-out, once, all of them even if one throws. */
export class Cleanup {
  readonly #steps: { what: string; undo: () => Promise<unknown> }[] = [];

  add(what: string, undo: () => Promise<unknown>): void {
    this.#steps.push({ what, undo });
  }

  /** @param onError is told of each step that failed; none of them stops the others */
  async run(onError: (what: string, error: unknown) => void): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.undo();
      } catch (error) {
        onError(step.what, error);
      }
    }
  }
}
