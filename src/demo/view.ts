// Shows the view of `gsyncd-ts top` during the demo: redrawn in place on a terminal, and printed every few seconds
// elsewhere.

import { SessionReader } from '../progress/sessions.js';
import { renderTop } from '../top/render.js';

export interface DemoViewOptions {
  readonly columns: number;
  readonly output: 'terminal' | 'text';
  readonly print: (line: string) => void;
}

/** Options that suit an output stream. */
export function viewOf(stdout: NodeJS.WriteStream): DemoViewOptions {
  const isLive = stdout.isTTY && process.env['TERM'] !== 'dumb';
  return {
    columns: stdout.columns || 80,
    output: isLive ? 'terminal' : 'text',
    print: (line) => void stdout.write(`${line}\n`),
  };
}

const TERMINAL_INTERVAL_MS = 1_000;
const TEXT_INTERVAL_MS = 5_000;

export class DemoView {
  readonly #options: DemoViewOptions;
  readonly #reader: SessionReader;
  #lastFrameMs = performance.now();
  #frameLines = 0;

  constructor(stateDir: string, options: DemoViewOptions) {
    this.#options = options;
    this.#reader = new SessionReader(stateDir);
  }

  /** Prints a line that the next frame does not overwrite. */
  print(line: string): void {
    this.#frameLines = 0;
    this.#options.print(line);
  }

  /** Prints a frame if the last one is old enough. */
  async showFrame(): Promise<void> {
    const { output, columns, print } = this.#options;
    if (performance.now() - this.#lastFrameMs < (output === 'terminal' ? TERMINAL_INTERVAL_MS : TEXT_INTERVAL_MS))
      return;
    this.#lastFrameMs = performance.now();
    const frame = renderTop([await this.#reader.read()], Date.now(), { columns, charset: 'ascii', colours: 'off' });
    // Move the cursor up over the last frame, and clear from there to the end.
    const clearLastFrame = output === 'terminal' && this.#frameLines > 0 ? `\u001b[${this.#frameLines}A\u001b[J` : '';
    this.#frameLines = frame.length;
    print(clearLastFrame + frame.join('\n'));
  }
}
