// A brick's changelog directory as the changelog translator writes it: open changelog, rollovers into the dated or the
// flat layout, HTIME index with its xattr, restarts that leave a changelog unlisted, disabling and enabling.

import { appendFileSync, existsSync, mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Gfid } from '../../src/protocol/gfid.js';
import { lsetxattr } from '../../src/native/libc.js';
import { encodeRecord, header, type ChangelogFormat } from './encode.js';

const FORMAT: ChangelogFormat = { encoding: 'ascii', version: '1.2' };

export class FakeBrick {
  readonly dir: string;
  readonly #layout: 'dated' | 'flat';
  #htime = '';
  #count = 0;
  #records = 0;
  #serial = 0;
  /** The brick's clock at its last event, seconds. */
  #now = 0;

  constructor(root: string, layout: 'dated' | 'flat' = 'dated') {
    this.dir = join(root, '.glusterfs', 'changelogs');
    this.#layout = layout;
    mkdirSync(join(this.dir, 'htime'), { recursive: true });
  }

  get htimeDir(): string {
    return join(this.dir, 'htime');
  }

  get htimeFile(): string {
    return this.#htime;
  }

  changelogPath(time: number, name = 'CHANGELOG'): string {
    const day = new Date(time * 1000).toISOString().slice(0, 10).replaceAll('-', '/');
    return join(this.dir, ...(this.#layout === 'dated' ? [day] : []), `${name}.${time}`);
  }

  /** Sets changelog.changelog on. */
  enable(time: number): void {
    this.#now = time;
    this.#htime = join(this.htimeDir, `HTIME.${time}`);
    this.#count = 0;
    writeFileSync(this.#htime, '');
    lsetxattr(this.#htime, 'trusted.glusterfs.htime', Buffer.from('0:0'));
    this.#open();
  }

  /** Sets changelog.changelog off. */
  disable(time: number): void {
    this.rollover(time, 'stay closed');
  }

  /** Records one data change. @returns its gfid, unique in this brick */
  change(): Gfid {
    this.#serial += 1;
    const gfid = `00000000-0000-0000-0000-${this.#serial.toString(16).padStart(12, '0')}` as Gfid;
    appendFileSync(join(this.dir, 'CHANGELOG'), encodeRecord({ type: 'data', gfid }, FORMAT));
    this.#records += 1;
    return gfid;
  }

  rollover(time: number, then: 'reopen' | 'stay closed' = 'reopen'): void {
    const empty = this.#records === 0;
    if (empty) rmSync(join(this.dir, 'CHANGELOG'));
    else this.#close(time);
    this.list(this.changelogPath(time, empty ? 'changelog' : 'CHANGELOG'), time);
    if (then === 'reopen') this.#open();
    this.#records = 0;
  }

  /** A brick restart closes the open changelog without listing it in HTIME. */
  restart(time: number): void {
    this.#close(time);
    this.#open();
    this.#records = 0;
  }

  list(path: string, time: number): void {
    this.#count += 1;
    appendFileSync(this.#htime, `${path}\0`);
    lsetxattr(this.#htime, 'trusted.glusterfs.htime', Buffer.from(`${time}:${this.#count}`));
  }

  #open(): void {
    if (!existsSync(join(this.dir, 'CHANGELOG'))) writeFileSync(join(this.dir, 'CHANGELOG'), header(FORMAT));
  }

  #close(time: number): void {
    const path = this.changelogPath(time);
    mkdirSync(dirname(path), { recursive: true });
    renameSync(join(this.dir, 'CHANGELOG'), path);
    utimesSync(path, this.#now, this.#now);
    this.#now = time;
  }
}
