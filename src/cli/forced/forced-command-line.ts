// Detects whether this program was started as an ssh forced command, as the stock wrapper does: by the environment
// that sshd sets. main.ts checks this at every start, so this file loads nothing. forced-exec.ts does the rest.

import { basename } from 'node:path';

/** Set for the program that a forced command starts, so that it is not taken for a forced command again. */
export const DISPATCHED_ENV = '_GSYNCD_DISPATCHED_';
/** 1 in glusterd's own calls, which are not restricted. */
const GLUSTERD_CALLED_ENV = '_GLUSTERD_CALLED_';

/** Arguments of a forced command in authorized_keys that limit the key. */
const TAR_KEY = '--tar-key';
const ONLY_VOLUME = '--only-volume';

const ARGUMENTS_PROBLEM = `authorized_keys: the arguments of gsyncd must be ${TAR_KEY} and ${ONLY_VOLUME} NAME`;

/** The options of a key in authorized_keys. */
export interface KeyLimits {
  /** The key may run tar in a session's mount, and nothing else. */
  readonly isTarKey?: true;
  /** The only secondary volume that the key is for. */
  readonly onlyVolume?: string;
  /** The arguments are invalid, so nothing may run. */
  readonly problem?: string;
}

export interface ForcedLine {
  /** '' when the client asked for a shell. */
  readonly line: string;
  readonly limits: KeyLimits;
}

/** The line that an ssh client sent, if this program is its forced command or its user's shell. A forced command has
 *  only arguments that limit the key. With other arguments, this is an ordinary call within an ssh session. */
export function forcedCommandLine(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ForcedLine | undefined {
  if (env[GLUSTERD_CALLED_ENV] === '1' || env[DISPATCHED_ENV] !== undefined) return undefined;
  const line = env['SSH_ORIGINAL_COMMAND'];
  const isShell = args[0] === '-c' && args.length === 2 && basename(env['SHELL'] ?? '') === 'gsyncd';
  // sshd passes the command of authorized_keys to the user's shell.
  const keyArgs = isShell
    ? (args[1] ?? '')
        .split(/\s+/)
        .filter((word) => word !== '')
        .slice(1)
    : args;
  if (keyArgs[0] === TAR_KEY || keyArgs[0] === ONLY_VOLUME) return { line: line ?? '', limits: keyLimits(keyArgs) };
  if (args.length > 0 && !isShell) return undefined;
  // An admin may have meant the unknown option to limit the key.
  if (isShell && line !== undefined && keyArgs.length > 0) return { line, limits: { problem: ARGUMENTS_PROBLEM } };
  const requested = line ?? (isShell ? args[1] : undefined);
  return requested === undefined ? undefined : { line: requested, limits: {} };
}

function keyLimits(args: readonly string[]): KeyLimits {
  const [first, ...others] = args;
  if (first === undefined) return {};
  if (first === TAR_KEY) return { ...keyLimits(others), isTarKey: true };
  const [onlyVolume, ...rest] = others;
  if (first !== ONLY_VOLUME || onlyVolume === undefined || onlyVolume.startsWith('-')) {
    return { problem: ARGUMENTS_PROBLEM };
  }
  return { ...keyLimits(rest), onlyVolume };
}
