// A command that answers at once, described as data. glusterd runs several of them for each action of an admin, and
// commander takes longer to load than they take to run. This module parses the plain forms. For everything else (help,
// mistakes), commander gets the same description and writes the messages.

import type { Command } from 'commander';

export interface FastOption {
  /** Long name without dashes. */
  readonly name: string;
  readonly letter?: string;
  /** Name of the value in the help; absent for a flag. */
  readonly value?: string;
  readonly help: string;
  /** May be given several times; all values are used. */
  readonly isRepeatable?: true;
}

export interface FastCommand {
  readonly name: string;
  readonly description: string;
  /** Name and help of each argument; all are required. */
  readonly positionals: readonly (readonly [string, string])[];
  readonly options: readonly FastOption[];
  readonly example: string;
  run(positionals: readonly string[], flags: Flags): Promise<void> | void;
}

/** Options as given. A flag has the value ''. */
export class Flags {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The last value given. */
  value(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }
}

/** Options of every short command, and of those about a session. */
export const DEBUG: FastOption = { name: 'debug', help: 'log to the terminal' };
export const CONFIG_FILE: FastOption = {
  name: 'config-file',
  letter: 'c',
  value: 'path',
  help: "the session's gsyncd.conf (default: glusterd's)",
};
export const SESSION_POSITIONALS = [
  ['primary', 'name of the primary volume'],
  ['secondary', 'the secondary volume: [USER@]HOST::VOLUME'],
] as const;
const INET6 = '--inet6';

export interface ParsedFastCommand {
  readonly positionals: readonly string[];
  readonly flags: Flags;
}

/** Name of the command that `args` begin with, after `--inet6`. */
export function commandName(args: readonly string[]): string {
  return args.find((arg) => arg !== INET6) ?? '';
}

/** @returns undefined when the arguments are invalid or not in plain form; `args` begin as for commandName() */
export function parseFastCommand(command: FastCommand, args: readonly string[]): ParsedFastCommand | undefined {
  const positionals: string[] = [];
  const values = new Map<string, string[]>();
  const add = (name: string, value: string): void => void values.set(name, [...(values.get(name) ?? []), value]);
  const at = args.indexOf(command.name);
  if (args.slice(0, at).includes(INET6)) add('inet6', '');
  const rest = args.slice(at + 1);
  for (let i = 0; i < rest.length; i++) {
    const arg = rest[i] ?? '';
    if (!arg.startsWith('-') || arg === '-') {
      positionals.push(arg);
      continue;
    }
    const equals = arg.indexOf('=');
    const optionText = equals < 0 ? arg : arg.slice(0, equals);
    const option = command.options.find(
      ({ name, letter }) => optionText === `--${name}` || (optionText === `-${letter}` && equals < 0),
    );
    if (option === undefined || (option.value === undefined && equals >= 0)) return undefined;
    if (option.value === undefined) add(option.name, '');
    else if (equals >= 0) add(option.name, arg.slice(equals + 1));
    else {
      const value = rest[++i];
      if (value === undefined || value.startsWith('-')) return undefined;
      add(option.name, value);
    }
  }
  return positionals.length === command.positionals.length ? { positionals, flags: new Flags(values) } : undefined;
}

export function addFastCommand(program: Command, described: FastCommand): void {
  const command = program.command(described.name).description(described.description);
  for (const [name, help] of described.positionals) command.argument(`<${name}>`, help);
  for (const { name, letter, value, help, isRepeatable } of described.options) {
    const flags = `${letter === undefined ? '' : `-${letter}, `}--${name}${value === undefined ? '' : ` <${value}>`}`;
    if (isRepeatable === true)
      command.option(flags, help, (text: string, before: readonly string[] = []) => [...before, text]);
    else command.option(flags, help);
  }
  command.addHelpText('after', `\nExample:\n  gsyncd-ts ${described.name} ${described.example}`);
  command.action(async () => {
    const values = new Map<string, readonly string[]>();
    for (const [name, value] of Object.entries(command.optsWithGlobals())) {
      const texts: unknown[] = Array.isArray(value) ? value : [value === true ? '' : value];
      values.set(
        name.replaceAll(/[A-Z]/g, (ch) => `-${ch.toLowerCase()}`),
        texts.map(String),
      );
    }
    await described.run(command.args, new Flags(values));
  });
}
