// Parses rsync's output and decides for each gfid whether it arrived. Pure. The exit code is no evidence for one file: with
// --existing, rsync skips a file that the secondary lacks and exits with 0. A gfid has arrived only if the itemized list
// names it, no error line does, and the run was complete. Checked against the messages of rsync 3.2.7 and 3.5.0.

import { isGfid, type Gfid } from '../../protocol/gfid.js';
import { fsDecode } from '../../names.js';

/** Prefix of the itemized lines on rsync's stdout (--out-format). */
export const ITEM_FORMAT = '@%i %n';

const ITEM = /^@\S+ +\.gfid\/([0-9a-f-]{36})\/?$/;
const GFID_IN_LINE = /\.gfid\/\.?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/g;
/** Error lines about a file that was gone (ENOENT 2, ESTALE 116) when the sender opened it. */
const MISSING = /^file has vanished: |(?:\[sender\]|link_stat|send_files failed to open).*\((?:2|116)\)$/;
/** A file vanished while its xattrs were being sent. Files with equal xattrs share the data sent for them, so these have no
 *  xattrs on the secondary now. */
const LOST_XATTRS = /^failed to re-read xattr /;
/** Warnings before another try within the same run. */
const HARMLESS = /\(will try again\)|^rsync warning: /;
const TRANSFERRED = /^Total transferred file size: ([\d,.]+)/;
const PERFORMANCE =
  /^(?:Number of files:|Number of regular files transferred:|Total file size:|Total transferred file size:|Literal data:|Matched data:|Total bytes sent:|Total bytes received:|sent )/;

/** The first eleven characters say what changes, and may be blanks. A name may begin with blanks, too. */
const DIRECTORY_ITEM = /^@.d.{9} (.*?)\/?$/;
const ESCAPED_BYTES = /(?:\\#[0-7]{3})+/g;

/** Path of the directory in an itemized line, null for other lines. In the C locale rsync writes each byte that is not
 *  printable ASCII as `\#` and three octal digits. */
export function parseDirectoryLine(line: string): string | null {
  const path = DIRECTORY_ITEM.exec(line)?.[1];
  if (path === undefined) return null;
  const bytes = path.replaceAll(ESCAPED_BYTES, (run) =>
    Buffer.from(
      run
        .split('\\#')
        .slice(1)
        .map((octal) => Number.parseInt(octal, 8)),
    ).toString('latin1'),
  );
  return fsDecode(Buffer.from(bytes, 'latin1'));
}

/** Exit codes of complete runs: success, partial transfer, source files vanished, --max-delete. */
const COMPLETE_EXIT_CODES = new Set([0, 23, 24, 25]);

export function isCompleteRun(exitCode: number | null): boolean {
  return exitCode !== null && COMPLETE_EXIT_CODES.has(exitCode);
}

/** The gfid that a line of rsync's or tar's output is about: the last `.gfid/<gfid>` in it. */
export function gfidInLine(line: string): Gfid | null {
  let found: string | undefined;
  for (const match of line.matchAll(GFID_IN_LINE)) found = match[1];
  return found !== undefined && isGfid(found) ? found : null;
}

export class RsyncReport {
  /** Files in the itemized list: sent, or already equal. */
  readonly itemized = new Set<Gfid>();
  /** Files that were gone when the sender opened them. */
  readonly missing = new Set<Gfid>();
  /** Files in error lines, with the first such line. */
  readonly errors = new Map<Gfid, string>();
  /** Other lines about files, such as why one was skipped. */
  readonly remarks = new Map<Gfid, string>();
  /** Lines for log-rsync-performance. */
  readonly performance: string[] = [];
  transferredBytes = 0;
  /** Whether files that arrived may have lost their xattrs. */
  hasLostXattrs = false;

  stdoutLine(line: string): void {
    const item = ITEM.exec(line)?.[1];
    if (item !== undefined && isGfid(item)) {
      this.itemized.add(item);
      return;
    }
    const bytes = TRANSFERRED.exec(line)?.[1];
    if (bytes !== undefined) this.transferredBytes = Number(bytes.replaceAll(/[,.]/g, ''));
    if (PERFORMANCE.test(line)) this.performance.push(line);
    const gfid = gfidInLine(line);
    if (gfid !== null) this.remarks.set(gfid, line.trim());
  }

  stderrLine(line: string): void {
    if (LOST_XATTRS.test(line)) this.hasLostXattrs = true;
    const gfid = gfidInLine(line);
    if (gfid === null || HARMLESS.test(line)) return;
    if (MISSING.test(line.trim())) this.missing.add(gfid);
    else if (!this.errors.has(gfid)) this.errors.set(gfid, line.trim());
  }
}

export interface RsyncVersion {
  readonly major: number;
  readonly minor: number;
}

/** Parses the output of `rsync --version`; null when it has no version. */
export function parseRsyncVersion(text: string): RsyncVersion | null {
  const match = /version\s+v?(\d+)\.(\d+)/.exec(text);
  return match === null ? null : { major: Number(match[1]), minor: Number(match[2]) };
}

/** Compares as numbers: 3.10 is newer than 3.2. */
export function isAtLeast(version: RsyncVersion, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}
