// Reads the error output of a local `tar -c` and of a remote `tar -x`, and says which gfids did not arrive and
// whether the archive went through as a whole. Pure; tarssh-transfer.ts feeds it.
// tar says nothing about files that went well. So the rule is: when both ends read or wrote the archive to its
// end, and each complaint names a file, the other files have arrived; otherwise none has.

import type { Gfid } from '../../protocol/gfid.js';
import type { ExitInfo } from '../../process/child.js';
import { gfidInLine } from './rsync-report.js';

/** Lines that name a file and are no failure. A file that changes or shrinks while it is read is in the next
 *  changelog again. */
const HARMLESS =
  /: file changed as we read it$|: File shrank by \d+ bytes?; padding with zeros$|: time stamp .* in the future$|: implausibly old time stamp |: Removing leading |: Exiting with failure status|: Ignoring unknown extended header keyword/;
/** What the local tar says of a file that is being, or has been, unlinked: the kernel may know it a while longer. */
const MISSING = /: (?:No such file or directory|Stale file handle)$|: File removed before we read it$/;
const FROM_TAR = /^(?:\S*\/)?tar: /;
/** tar does not ask why a write came out short; on a file there are two reasons. */
const SHORT_WRITE = /\.gfid\/\S+: Wrote only \d+ of \d+ bytes$/;

/** @returns a line of tar's with what it means, where tar does not say so */
export function explained(line: string): string {
  return SHORT_WRITE.test(line) ? `${line} (its disk is full, or a quota is reached)` : line;
}

export class TarReport {
  /** Not there when the local tar looked. */
  readonly missing = new Set<Gfid>();
  /** Named by an error line of either end, with the first such line. */
  readonly errors = new Map<Gfid, string>();
  /** A complaint that names no file: the archive as a whole is in doubt. */
  general: string | undefined;

  localLine(line: string): void {
    this.#line(line, 'local');
  }

  remoteLine(line: string): void {
    this.#line(line, 'remote');
  }

  /** Why the transfer as a whole failed, undefined when it did not. */
  broken(local: ExitInfo, remote: ExitInfo): string | undefined {
    // 1 is what a `tar -c` says whose files changed. A `tar -x` has no such code, but a shell or forced command there has.
    const localThrough = local.code === 0 || local.code === 1 || (local.code === 2 && this.#blamed.local);
    const remoteThrough = remote.code === 0 || (remote.code === 2 && this.#blamed.remote);
    if (localThrough && remoteThrough && this.general === undefined) return undefined;
    const [end, exit] = remote.code === 0 ? (['tar here', local] as const) : (['tar on the secondary', remote] as const);
    const how = exit.code === null ? `ended by ${exit.signal}` : `exit ${exit.code}`;
    const tail = exit.stderrTail.split('\n').slice(-3).join('; ');
    return tail === '' ? `${end}: ${how}` : `${end}: ${how}: ${tail}`;
  }

  readonly #blamed = { local: false, remote: false };

  #line(line: string, end: 'local' | 'remote'): void {
    const text = line.trim();
    if (HARMLESS.test(text)) return;
    const gfid = gfidInLine(text);
    if (gfid === null) {
      if (FROM_TAR.test(text)) this.general ??= text;
      return;
    }
    this.#blamed[end] = true;
    if (end === 'local' && MISSING.test(text)) this.missing.add(gfid);
    else if (!this.errors.has(gfid)) this.errors.set(gfid, explained(text));
  }
}
