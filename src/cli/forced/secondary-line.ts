// The `gsyncd secondary` command line that an ssh key may ask for. Only options that the primaries of GlusterFS 4 to
// 11 and this project's send are allowed, each with a pattern for its value. Names become parts of root's directories
// and log files on this node, so no name may hold `/` or `..`. Pure.

import { modernizeName } from '../../config/options.js';
import { toPrintable } from './refusal.js';

/** Names of the command that serves a secondary. */
export const SECONDARY_COMMANDS = new Set(['secondary', 'slave']);

/** glusterd permits no other characters in a volume's name. */
const VOLUME = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,254}$/;
/** Host name or address, including IPv6 with brackets and zone. */
const HOST = /^(?!-)(?!.*\.\.)[\w.:%[\]-]{1,255}$/;
const USER = /^(?!-)(?!.*\.\.)[\w.+-]{1,255}$/;
const UUID = /^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|unknown)$/i;
const NUMBER = /^\d{1,9}$/;
const LOG_LEVEL = /^(?:TRACE|DEBUG|INFO|NOTICE|WARNING|ERROR|CRITICAL|NONE)$/i;
/** Absolute, without control characters and without a `..` component. */
const PATH = /^(?!.*\/\.\.(?:\/|$))\/[^\0-\x1f\x7f-\x9f]{0,4095}$/;

type ValueCheck = (value: string) => boolean;
const matching =
  (pattern: RegExp): ValueCheck =>
  (value) =>
    pattern.test(value);

/** Options with a value, in the present vocabulary. */
const VALUES: ReadonlyMap<string, ValueCheck> = new Map([
  ['--primary-node', matching(HOST)],
  ['--primary-node-id', matching(UUID)],
  ['--primary-brick', matching(PATH)],
  ['--primary-dist-count', matching(NUMBER)],
  ['--local-node', isAddress],
  ['--local-node-id', matching(UUID)],
  ['--session-owner', matching(UUID)],
  ['--secondary-timeout', matching(NUMBER)],
  ['--secondary-log-level', matching(LOG_LEVEL)],
  ['--secondary-gluster-log-level', matching(LOG_LEVEL)],
  ['--secondary-gluster-command-dir', matching(PATH)],
]);
const FLAGS: ReadonlySet<string> = new Set(['--use-rsync-xattrs', '--secondary-access-mount', '--debug']);

export function isVolumeName(name: string): boolean {
  return VOLUME.test(name);
}

/** Reason why the words after `gsyncd` are not those of a geo-replication session; undefined when they are.
 *  @param onlyVolume the only secondary volume that is allowed */
export function checkSecondaryLine(words: readonly string[], onlyVolume?: string): string | undefined {
  if (!SECONDARY_COMMANDS.has(words[0] ?? '')) return 'only the secondary may be started';
  const names = parseNames(words.slice(1));
  return typeof names === 'string' ? names : checkNames(names, onlyVolume);
}

/** The secondary volume of a running gsyncd, from the words after its program. Undefined when no primary would start
 *  it so. */
export function parseServedVolume(words: readonly string[]): string | undefined {
  const names = parseNames(words.slice(1));
  return typeof names === 'string' ? undefined : parseVolume(names[1] ?? '');
}

/** The words that are neither options nor values of options, or the fault in an option. */
function parseNames(words: readonly string[]): readonly string[] | string {
  const names: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (!word.startsWith('-')) {
      names.push(word);
      continue;
    }
    const equals = word.indexOf('=');
    const option = equals < 0 ? word : word.slice(0, equals);
    const check = VALUES.get(modernizeName(option));
    if (check === undefined) {
      if (FLAGS.has(modernizeName(word))) continue;
      return `option ${toPrintable(option)} is not of a geo-replication session`;
    }
    if (!check(equals < 0 ? (words[++at] ?? '') : word.slice(equals + 1)))
      return `option ${toPrintable(option)}: not a value of a geo-replication session`;
  }
  return names;
}

function checkNames(
  [primary = '', secondary = '', ...more]: readonly string[],
  onlyVolume: string | undefined,
): string | undefined {
  if (more[0] !== undefined) return `word ${toPrintable(more[0])} is not of a geo-replication session`;
  if (!VOLUME.test(primary)) return `primary ${toPrintable(primary)}: not the name of a volume`;
  const volume = parseVolume(secondary);
  if (volume === undefined) return `secondary ${toPrintable(secondary)}: not [USER@]HOST::VOLUME`;
  if (onlyVolume !== undefined && volume !== onlyVolume)
    return `volume ${toPrintable(volume)}: this key is for another one`;
  return undefined;
}

/** The volume of `[USER@]HOST::VOLUME[:UUID]`; undefined when `secondary` has another form. */
function parseVolume(secondary: string): string | undefined {
  const [, address = '', volume = ''] = /^(.+?)::([^:]+)(?::[\w-]*)?$/.exec(secondary) ?? [];
  return isAddress(address) && VOLUME.test(volume) ? volume : undefined;
}

/** `[USER@]HOST` */
function isAddress(text: string): boolean {
  const at = text.lastIndexOf('@');
  return HOST.test(text.slice(at + 1)) && (at < 0 || USER.test(text.slice(0, at)));
}
