// The options that an rsync server may have that writes into a session's mount. They are the options that stock's and
// this project's primary cause, and those from `rsync-options` that affect only the transfer. The output of rsync's
// server_options() differs between versions; the list covers 3.1 to 3.5. Pure.

/** Options of one letter. These are left out: `s` (arguments come with the data), `K`, `k`, `L` (symlinks are
 *  followed), `b` (backups), `C` (reads ignore files), `T`, `M`, `f` and `B` (take a value). */
const LETTERS = 'vqunldWHogDtUNpEAXrcIRxSzyOJm';
/** Letters, then the client's capabilities: `e`, a protocol number for a preview version only, a dot, capabilities. */
const LETTER_WORD = new RegExp(`^-[${LETTERS}]*(?:e\\d*\\.[A-Za-z]*)?$`);

const FLAGS: ReadonlySet<string> = new Set([
  ...['--super', '--stats', '--numeric-ids', '--existing', '--ignore-existing', '--inplace', '--no-implied-dirs'],
  ...[
    '--ignore-missing-args',
    '--partial',
    '--append',
    '--size-only',
    '--no-W',
    '--no-specials',
    '--specials',
    '--safe-links',
  ],
  ...[
    '--fsync',
    '--preallocate',
    '--open-noatime',
    '--msgs2stderr',
    '--no-msgs2stderr',
    '--new-compress',
    '--old-compress',
  ],
]);

const VALUES: readonly RegExp[] = [
  /^--log-format=(?:%i|%i%I|%o|X)$/,
  /^--(?:timeout|bwlimit|max-size|min-size)=\d{1,18}$/,
  /^-B\d{1,7}$/,
  /^(?:--modify-window=|-@)-?\d{1,9}$/,
  /^--checksum-seed=-?\d{1,10}$/,
  /^--checksum-choice=[a-z0-9]{1,16}(?:,[a-z0-9]{1,16})?$/,
  /^--compress-choice=(?:zlib|zlibx|zstd|lz4|none|auto)$/,
  /^--compress-level=-?\d{1,6}$/,
  /^--(?:info|debug)=[A-Z0-9,]{1,200}$/,
];

/** Whether a word of an rsync server's command line is an option of a geo-replication session. */
export function isSessionOption(word: string): boolean {
  return FLAGS.has(word) || VALUES.some((pattern) => pattern.test(word)) || (word !== '-' && LETTER_WORD.test(word));
}
