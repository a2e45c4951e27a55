// Whether this program was started as an ssh forced command, told as the stock wrapper tells it: by the environment
// that sshd sets. Asked by main.ts at every start, so it loads nothing; forced-exec.ts does the rest.

import { basename } from 'node:path';

/** Set for what a forced command starts, so that it is not taken for one again. */
export const DISPATCHED = '_GSYNCD_DISPATCHED_';
/** glusterd's own calls are not restricted; the mark is not for the programs that they start. */
const GLUSTERD_CALLED = '_GLUSTERD_CALLED_';

/** Arguments that a forced command may have in authorized_keys: they limit the key. */
const TAR_KEY = '--tar-key';
const ONLY_VOLUME = '--only-volume';

const PROBLEM = `authorized_keys: the arguments of gsyncd must be ${TAR_KEY} and ${ONLY_VOLUME} NAME`;

/** The options of a key in authorized_keys. */
export interface KeyLimits {
  /** Runs tar in a session's mount, and nothing else. */
  readonly isTarKey?: true;
  /** The one secondary volume that the key is for. */
  readonly onlyVolume?: string;
  /** The arguments cannot be understood: nothing may run. */
  readonly problem?: string;
}

export interface ForcedLine {
  /** '' when the client asked for a shell. */
  readonly line: string;
  readonly limits: KeyLimits;
}

/** The line that an ssh client sent, when this program is its forced command or its user's shell. A forced command has no
 *  arguments but those that limit the key: with others, this is an ordinary call within somebody's session. */
export function forcedCommandLine(args: readonly string[], env: Readonly<Record<string, string | undefined>>): ForcedLine | undefined {
  if (env[GLUSTERD_CALLED] === '1' || env[DISPATCHED] !== undefined) return undefined;
  const line = env['SSH_ORIGINAL_COMMAND'];
  const isShell = args[0] === '-c' && args.length === 2 && basename(env['SHELL'] ?? '') === 'gsyncd';
  // sshd hands authorized_keys' command to the user's shell.
  const own = isShell ? (args[1] ?? '').split(/\s+/).filter((word) => word !== '').slice(1) : args;
  if (own[0] === TAR_KEY || own[0] === ONLY_VOLUME) return { line: line ?? '', limits: keyLimits(own) };
  if (args.length > 0 && !isShell) return undefined;
  // An unknown option may have been meant to limit the key.
  if (isShell && line !== undefined && own.length > 0) return { line, limits: { problem: PROBLEM } };
  const asked = line ?? (isShell ? args[1] : undefined);
  return asked === undefined ? undefined : { line: asked, limits: {} };
}

function keyLimits(args: readonly string[]): KeyLimits {
  const [first, ...others] = args;
  if (first === undefined) return {};
  if (first === TAR_KEY) return { ...keyLimits(others), isTarKey: true };
  const [onlyVolume, ...rest] = others;
  if (first !== ONLY_VOLUME || onlyVolume === undefined || onlyVolume.startsWith('-')) {
    return { problem: PROBLEM };
  }
  return { ...keyLimits(rest), onlyVolume };
}
