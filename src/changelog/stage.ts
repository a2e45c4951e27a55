// A consumer's working directories, in libgfchangelog's layout. The stage writes a text file in `.current`, moves it
// to `.processing` when it is complete, and to `.processed` when the consumer is done with it. prepare() drops the
// files that an earlier run left in the first two. Their changelogs are still on the brick, and the stime shows that
// they were not consumed.

import { copyFile, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoCode, GsyncdError } from '../errors.js';
import { writing } from '../native/durable-file.js';
import { isThere } from '../native/if-there.js';
import { fsDecode, fsEncode } from '../names.js';
import { CHANGELOG_NAME } from './changelog-files.js';
import { decodeChangelog } from './decode.js';
import { identityOf } from './file-identity.js';
import { formatRecords } from './text.js';

export class Stage {
  readonly #current: string;
  readonly #processing: string;
  readonly #processed: string;
  readonly #damaged: string;
  #last: { time: number; identity: string } | null = null;

  /** @param dir the working directory, or `.history` in it */
  constructor(dir: string) {
    this.#current = join(dir, '.current');
    this.#processing = join(dir, '.processing');
    this.#processed = join(dir, '.processed');
    this.#damaged = join(dir, '.damaged');
  }

  async prepare(): Promise<void> {
    this.#last = null;
    for (const dir of [this.#current, this.#processing]) {
      await rm(fsEncode(dir), { recursive: true, force: true });
    }
    for (const dir of [this.#current, this.#processing, this.#processed]) {
      await mkdir(fsEncode(dir), { recursive: true, mode: 0o700 });
    }
  }

  /** Decodes the changelog at `path` into a ready file. Two rollovers in one second leave one file for two entries of
   *  the index. The stage does not repeat the changelog that it put last. Changed content waits until the consumer is
   *  done with the old file.
   *  @returns bytes of text; 0 for a changelog without records or a repeated one; null if it has to wait
   *  @throws GsyncdError('changelog') when the changelog is garbled; the error of open() */
  async put(path: string, time: number): Promise<number | null> {
    const file = await open(fsEncode(path), 'r');
    try {
      const identity = await identityOf(file);
      if (this.#last?.time === time) {
        if (this.#last.identity === identity) return 0;
        if (await isThere(join(this.#processing, `CHANGELOG.${time}`))) return null;
      }
      const text = formatRecords(decodeChangelog(await file.readFile(), path));
      if (text.length > 0) await this.#publish(`CHANGELOG.${time}`, text);
      this.#last = { time, identity };
      return text.length;
    } finally {
      await file.close();
    }
  }

  /** Tries to keep a copy of the changelog at `path`, which cannot be decoded. The brick keeps the original. */
  async keepDamagedCopy(path: string, time: number): Promise<void> {
    await mkdir(fsEncode(this.#damaged), { recursive: true, mode: 0o700 });
    await copyFile(fsEncode(path), fsEncode(join(this.#damaged, `CHANGELOG.${time}`))).catch(() => undefined);
  }

  async #publish(name: string, text: Buffer): Promise<void> {
    const temp = fsEncode(join(this.#current, name));
    await writing(join(this.#current, name), () => writeFile(temp, text, { mode: 0o644 }));
    await rename(temp, fsEncode(join(this.#processing, name)));
  }

  /** Paths of the ready files, in order of time. */
  async list(): Promise<string[]> {
    const ready: { name: string; time: number }[] = [];
    for (const bytes of await readdir(fsEncode(this.#processing), { encoding: 'buffer' })) {
      const match = CHANGELOG_NAME.exec(fsDecode(bytes));
      if (match !== null) ready.push({ name: match[0], time: Number(match[1]) });
    }
    return ready.sort((a, b) => a.time - b.time).map(({ name }) => join(this.#processing, name));
  }

  /** @throws GsyncdError('changelog') when `path` is no ready file */
  async done(path: string): Promise<void> {
    const name = basename(path);
    if (dirname(path) !== this.#processing) {
      throw new GsyncdError(`finish changelog: ${path}: not in ${this.#processing}`, { code: 'changelog' });
    }
    try {
      await rename(fsEncode(path), fsEncode(join(this.#processed, name)));
    } catch (cause) {
      const state = errnoCode(cause) === 'ENOENT' ? 'not there' : String(errnoCode(cause));
      throw new GsyncdError(`finish changelog: ${path}: ${state}`, { code: 'changelog', cause });
    }
  }
}
