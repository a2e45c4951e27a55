// The command line of rsync. Stock's flags come first, so that a stock secondary's forced command accepts it.

import { SHARD_PREFIX } from '../../gluster/xattr-names.js';
import type { DataTarget } from '../../protocol/data-target.js';
import { ITEM_FORMAT, isAtLeast, type RsyncVersion } from './rsync-report.js';

/** Boxes of files up to this size are sent whole: a comparison costs an open and a read per file on the secondary. */
const MAX_WHOLE_FILE_BYTES = 64 << 10;

/** Options that are the same for every run. */
export interface RsyncCommand {
  /** rsync-command */
  readonly command: string;
  /** rsync-options, split at white space */
  readonly userOptions: readonly string[];
  /** The whole remote shell: ssh-command, ssh-options, `-p` port, control options, rsync-ssh-options. Not used for a target
   *  on this machine. */
  readonly sshArgv: readonly string[];
  /** rsync-opt-existing */
  readonly existing: boolean;
  /** rsync-opt-ignore-missing-args; left out for an rsync older than 3.1 */
  readonly ignoreMissingArgs: boolean;
  /** sync-xattrs. The size of a sharded file, which GlusterFS keeps in xattrs, is sent in any case. */
  readonly xattrs: boolean;
  readonly acls: boolean;
  readonly target: DataTarget;
}

/** Options that differ between runs. */
export interface RsyncRun {
  readonly compare: 'content' | 'times';
  /** No file of the run has xattrs or ACLs. */
  readonly isBare?: boolean;
  /** Files have holes. With --sparse rsync writes 1 KiB at a time. */
  readonly isSparse?: boolean;
  readonly maxFileBytes?: number;
}

/**
 * Builds the command line: stock's flags, then the user's, then those that the report depends on. The user's flags cannot
 * override these. `--quiet` could, so it is left out.
 */
export function rsyncArgv(
  options: RsyncCommand,
  version: RsyncVersion,
  { compare, isBare = false, isSparse = false, maxFileBytes = Infinity }: RsyncRun,
): string[] {
  const isAtLeast31 = isAtLeast(version, 3, 1);
  const { target } = options;
  return [
    options.command,
    '-aR0',
    '--inplace',
    ...(isSparse && isAtLeast(version, 3, 2) ? ['--sparse'] : []),
    '--files-from=-',
    '--super',
    '--stats',
    '--numeric-ids',
    '--no-implied-dirs',
    ...(options.existing ? ['--existing'] : []),
    ...(isBare ? [] : [...xattrOptions(options.xattrs, isAtLeast31), ...(options.acls ? ['--acls'] : [])]),
    ...options.userOptions.filter((option) => option !== '-q' && option !== '--quiet'),
    ...(options.ignoreMissingArgs && isAtLeast31 ? ['--ignore-missing-args'] : []),
    ...compareOptions(compare, version),
    ...(maxFileBytes <= MAX_WHOLE_FILE_BYTES ? ['--whole-file'] : []),
    '-ii',
    `--out-format=${ITEM_FORMAT}`,
    ...(isAtLeast31 ? ['--info=skip1'] : []),
    '.',
    ...(target.address === null
      ? [target.directory]
      : ['-e', options.sshArgv.map(quoteForRsync).join(' '), `${target.address}:${target.directory}`]),
  ];
}

/** The size of a sharded file is only in `trusted.glusterfs.shard.*`. The other xattrs of GlusterFS, such as its own times,
 *  belong to one volume. XFS shows its ACLs as `trusted.SGI_*`, too. An xattr that the sender leaves out is removed by the
 *  receiver, and with these the ACL would be. Once there is a filter rule for xattrs, rsync no longer leaves out `system.*`,
 *  the ACLs. */
function xattrOptions(all: boolean, isAtLeast31: boolean): string[] {
  if (!isAtLeast31) return all ? ['--xattrs'] : [];
  const others = all ? ['--filter=-x trusted.glusterfs.*', '--filter=-x system.*'] : ['--filter=-x *'];
  return ['--xattrs', `--filter=+x ${SHARD_PREFIX}*`, ...others];
}

/** If rsync supports it, times are compared with their fraction: two versions of a file may have the same second. */
function compareOptions(compare: 'content' | 'times', version: RsyncVersion): string[] {
  if (compare === 'content') return ['--ignore-times'];
  return isAtLeast(version, 3, 2) ? ['--modify-window=-1'] : [];
}

/** rsync splits the remote shell's command at spaces and understands quotes. A doubled quote inside quotes is a literal one. */
function quoteForRsync(word: string): string {
  return /[\s'"]/.test(word) || word === '' ? `"${word.replaceAll('"', '""')}"` : word;
}
