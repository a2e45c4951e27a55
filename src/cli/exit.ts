// How a command ends with an exit code or a sentence that others rely on. Thrown by commands, read by main alone.

/** Ends the program with `exitCode`; `line`, when there is one, goes to stderr as it is. */
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
