// Clean-up steps for mounts, mount points, children and directories, for a normal end and for an error.

/** Runs its steps once, last-in first-out. A step that throws does not stop the others. */
export class Cleanup {
  readonly #steps: { what: string; undo: () => Promise<unknown> }[] = [];

  add(what: string, undo: () => Promise<unknown>): void {
    this.#steps.push({ what, undo });
  }

  /** @param onError receives each step that failed */
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
