// Replaces `${variable}` in option values as Python's string.Template.safe_substitute does. Defines the variables that
// a session has in addition to its options.

import { modernizeName } from './options.js';

/** Values of variables by name, spelled with `_`. An absent or null value does not hide an option of that name. */
export type TemplateArgs = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface SessionNames {
  /** Name of the primary volume. */
  readonly primary: string;
  readonly secondaryUser: string;
  readonly secondaryHost: string;
  readonly secondaryVolume: string;
  /** Path of the worker's brick; absent when no brick is involved. */
  readonly localPath?: string;
}

const VARIABLE = /\$(?:(\$)|([_a-z][_a-z0-9]*)|\{([_a-z][_a-z0-9]*)\})/gi;

/** A path as part of a file name: `/` becomes `-`, with none at the ends. Equals the stock daemon's escape(). */
export function escapePath(path: string): string {
  return path.replaceAll('/', '-').replaceAll(/^-+|(?<!-)-+$/g, '');
}

/** The template variables of stock's worker, monitor and commands, from a session's names. */
export function sessionTemplateArgs(names: SessionNames): TemplateArgs {
  return {
    primary: names.primary,
    secondary: `${names.secondaryUser}@${names.secondaryHost}::${names.secondaryVolume}`,
    secondaryuser: names.secondaryUser,
    primary_secondary_host: names.secondaryHost,
    secondaryvol: names.secondaryVolume,
    ...(names.localPath === undefined ? {} : brickTemplateArgs(names.localPath)),
  };
}

export function brickTemplateArgs(path: string): TemplateArgs {
  return { local_path: path, local_id: escapePath(path) };
}

/** Where glusterd keeps a session's options: `<workdir>/geo-replication/<primary>_<host>_<volume>/gsyncd.conf`. */
export function sessionConfigPath(workdir: string, primary: string, host: string, volume: string): string {
  return `${workdir}/geo-replication/${primary}_${host}_${volume}/gsyncd.conf`;
}

/** Replaces the variables of `text` once, not in the replacements; unknown ones stay as they are. */
export function substitute(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replaceAll(VARIABLE, (whole, dollar?: string, bare?: string, braced?: string) => {
    if (dollar !== undefined) return '$';
    const name = bare ?? braced ?? '';
    return variables.get(name) ?? variables.get(modernizeName(name)) ?? whole;
  });
}

/** The variables of template options: the options themselves, spelled with `_`, and over them `args`. */
export function templateVariables(
  options: Iterable<readonly [string, string | number | boolean]>,
  args: TemplateArgs,
): Map<string, string> {
  const variables = new Map<string, string>();
  for (const [name, value] of options) variables.set(name.replaceAll('-', '_'), String(value));
  for (const [name, value] of Object.entries(args)) {
    if (value !== null && value !== undefined) variables.set(name, templateText(value));
  }
  return variables;
}

/** A variable's value as Python prints it. */
function templateText(value: string | number | boolean): string {
  return typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value);
}
