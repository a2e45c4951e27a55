// Parses the stderr of the local `tar -c` and the remote `tar -x`. It decides which gfids did not arrive, and whether the
// whole archive was transferred. Pure. tar reports nothing about files that arrived. If both ends handled the archive to its
// end, and each complaint names a file, then the other files have arrived. Otherwise none has.

import type { Gfid } from '../../protocol/gfid.js';
import type { ExitInfo } from '../../process/child.js';
import { gfidInLine } from './rsync-report.js';

/** Lines about a file that are no failure. A file that changes or shrinks while tar reads it is in the next changelog again. */
const HARMLESS =
  /: file changed as we read it$|: File shrank by \d+ bytes?; padding with zeros$|: time stamp .* in the future$|: implausibly old time stamp |: Removing leading |: Exiting with failure status|: Ignoring unknown extended header keyword/;
/** The local tar's messages for a file that is being unlinked, or was. The kernel may still know its name for a while. */
const MISSING = /: (?:No such file or directory|Stale file handle)$|: File removed before we read it$/;
const FROM_TAR = /^(?:\S*\/)?tar: /;
/** tar does not report why a write was short. For a file there are two reasons. */
const SHORT_WRITE = /\.gfid\/\S+: Wrote only \d+ of \d+ bytes$/;

/** @returns a line of tar's output, with an explanation if tar gives none */
export function explainLine(line: string): string {
  return SHORT_WRITE.test(line) ? `${line} (its disk is full, or a quota is reached)` : line;
}

export class TarReport {
  /** Files that were gone when the local tar opened them. */
  readonly missing = new Set<Gfid>();
  /** Files in error lines of either end, with the first such line. */
  readonly errors = new Map<Gfid, string>();
  /** A complaint that names no file: the whole archive is suspect. */
  generalError: string | undefined;

  localLine(line: string): void {
    this.#line(line, 'local');
  }

  remoteLine(line: string): void {
    this.#line(line, 'remote');
  }

  /** The reason why the whole transfer failed; undefined when it did not. */
  brokenReason(local: ExitInfo, remote: ExitInfo): string | undefined {
    // `tar -c` exits with 1 when files changed. `tar -x` has no such code, but a remote shell or forced command may exit with
    // 1.
    const isLocalComplete = local.code === 0 || local.code === 1 || (local.code === 2 && this.#hasFileErrors.local);
    const isRemoteComplete = remote.code === 0 || (remote.code === 2 && this.#hasFileErrors.remote);
    if (isLocalComplete && isRemoteComplete && this.generalError === undefined) return undefined;
    const [end, exit] =
      remote.code === 0 ? (['tar here', local] as const) : (['tar on the secondary', remote] as const);
    const how = exit.code === null ? `ended by ${exit.signal}` : `exit ${exit.code}`;
    const tail = exit.stderrTail.split('\n').slice(-3).join('; ');
    return tail === '' ? `${end}: ${how}` : `${end}: ${how}: ${tail}`;
  }

  readonly #hasFileErrors = { local: false, remote: false };

  #line(line: string, end: 'local' | 'remote'): void {
    const text = line.trim();
    if (HARMLESS.test(text)) return;
    const gfid = gfidInLine(text);
    if (gfid === null) {
      if (FROM_TAR.test(text)) this.generalError ??= text;
      return;
    }
    this.#hasFileErrors[end] = true;
    if (end === 'local' && MISSING.test(text)) this.missing.add(gfid);
    else if (!this.errors.has(gfid)) this.errors.set(gfid, explainLine(text));
  }
}
