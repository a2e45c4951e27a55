// The error with which a command sets an exit code or a sentence that other programs rely on.

/** Ends the program with `exitCode`. A `line` goes to stderr without a prefix, its control characters escaped. */
export class CommandExit extends Error {
  readonly exitCode: number;
  readonly line: string | undefined;

  constructor(exitCode: number, line?: string) {
    super(line ?? `exit ${exitCode}`);
    this.name = 'CommandExit';
    this.exitCode = exitCode;
    this.line = line;
  }
}
