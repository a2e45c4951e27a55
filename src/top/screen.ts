// The live view's handling of a terminal: the alternate screen, a frame at each interval and at each change of size,
// and keys. Invariant: after every end the terminal is as before: the normal screen, a visible cursor, cooked input.

import type { ReadStream, WriteStream } from 'node:tty';

const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const TO_LINE_END = '\u001b[K';
const TO_SCREEN_END = '\u001b[J';

export interface ScreenOptions {
  readonly input: ReadStream;
  readonly output: WriteStream;
  readonly intervalMs: number;
  /** Lines of a frame for a terminal of this size. The user scrolls lines that do not fit. */
  readonly frame: (columns: number, rows: number) => Promise<readonly string[]>;
  /** The last line. */
  readonly footer: (columns: number, hidden: number) => string;
  readonly signal: AbortSignal;
}

/** Settles when the user quits or `signal` aborts. @throws what `frame` throws, with the terminal restored */
export async function runScreen(options: ScreenOptions): Promise<void> {
  const { input, output, signal } = options;
  const view = new ScreenView(options);
  const restore = (): void => void output.write(LEAVE);
  // Restores the terminal after a crash, too.
  process.once('exit', restore);
  const onData = (bytes: Buffer): void => view.handleKeys(bytes.toString('latin1'));
  const onResize = (): void => view.wake('size');
  const onAbort = (): void => view.quit();
  output.write(ENTER);
  if (input.isTTY) input.setRawMode(true).on('data', onData).resume();
  output.on('resize', onResize);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) view.quit();
  try {
    await view.run();
  } finally {
    process.removeListener('exit', restore);
    signal.removeEventListener('abort', onAbort);
    output.removeListener('resize', onResize);
    if (input.isTTY) input.setRawMode(false).removeListener('data', onData).pause();
    restore();
  }
}

type WakeReason = 'interval' | 'size' | 'key' | 'quit';

class ScreenView {
  readonly #options: ScreenOptions;
  #firstLine = 0;
  #lines: readonly string[] = [];
  #hasQuit = false;
  #resolveWait: (reason: WakeReason) => void = () => undefined;
  #pendingReason: WakeReason | null = null;

  constructor(options: ScreenOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    let reason: WakeReason = 'interval';
    while (!this.#hasQuit) {
      const { columns, rows } = this.#size();
      if (reason !== 'key') this.#lines = await this.#options.frame(columns, rows - 1);
      this.#draw();
      reason = await this.#waitForWake();
    }
  }

  wake(reason: WakeReason): void {
    this.#pendingReason = reason;
    this.#resolveWait(reason);
  }

  quit(): void {
    this.#hasQuit = true;
    this.wake('quit');
  }

  handleKeys(text: string): void {
    const page = Math.max(1, this.#size().rows - 2);
    if (/[q\u0003\u0004]/.test(text)) this.quit();
    else if (text === 'j' || text === '\u001b[B') this.#scroll(1);
    else if (text === 'k' || text === '\u001b[A') this.#scroll(-1);
    else if (text === ' ' || text === '\u001b[6~') this.#scroll(page);
    else if (text === '\u001b[5~') this.#scroll(-page);
  }

  #scroll(lines: number): void {
    this.#firstLine += lines;
    this.wake('key');
  }

  #size(): { columns: number; rows: number } {
    const { output } = this.#options;
    return { columns: output.columns || 80, rows: output.rows || 24 };
  }

  #draw(): void {
    const { columns, rows } = this.#size();
    const bodyRows = Math.max(1, rows - 1);
    this.#firstLine = Math.max(0, Math.min(this.#firstLine, this.#lines.length - bodyRows));
    const visible = this.#lines.slice(this.#firstLine, this.#firstLine + bodyRows);
    const blank = Array.from({ length: bodyRows - visible.length }, () => '');
    const footer = this.#options.footer(columns, this.#lines.length - visible.length);
    this.#options.output.write(
      HOME + [...visible, ...blank, footer].map((line) => line + TO_LINE_END).join('\r\n') + TO_SCREEN_END,
    );
  }

  async #waitForWake(): Promise<WakeReason> {
    if (this.#pendingReason === null) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#resolveWait = () => resolve();
        timer = setTimeout(() => resolve(), this.#options.intervalMs);
      });
      clearTimeout(timer);
      this.#resolveWait = () => undefined;
    }
    const reason = this.#pendingReason ?? 'interval';
    this.#pendingReason = null;
    return reason;
  }
}
