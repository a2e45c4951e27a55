// The program's commands as plain data, read from commander's definitions. The man page and the completions are
// generated from it, so they always match the commands.

import type { Command } from 'commander';

export interface OptionInfo {
  /** `-c, --config-file <path>` */
  readonly flags: string;
  readonly short: string | undefined;
  readonly long: string | undefined;
  readonly description: string;
  /** Name of the value, undefined for an option without one. */
  readonly value: string | undefined;
  readonly choices: readonly string[];
}

export interface CommandInfo {
  readonly name: string;
  readonly description: string;
  /** `gsyncd-ts worker [options] <primary> <secondary>` */
  readonly usage: string;
  readonly arguments: readonly {
    readonly name: string;
    readonly description: string;
    readonly choices: readonly string[];
  }[];
  readonly options: readonly OptionInfo[];
  /** Text of the command's help after the list of options. */
  readonly notes: string;
}

export interface ProgramInfo {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionInfo[];
  readonly commands: readonly CommandInfo[];
}

/** Everything that the program's help shows. */
export function readProgram(program: Command): ProgramInfo {
  const help = program.createHelp();
  const shown = help.visibleCommands(program).filter((command) => command.name() !== 'help');
  return {
    name: program.name(),
    description: program.description(),
    options: optionsOf(program),
    commands: shown.map((command) => readCommand(program, command)),
  };
}

function readCommand(program: Command, command: Command): CommandInfo {
  return {
    name: command.name(),
    description: command.description(),
    usage: `${program.name()} ${command.name()} ${command.usage()}`.trim(),
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      description: argument.description,
      choices: argument.argChoices ?? [],
    })),
    options: optionsOf(command),
    notes: notesOf(command),
  };
}

function optionsOf(command: Command): OptionInfo[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .map((option) => ({
      flags: option.flags,
      short: option.short,
      long: option.long,
      description: option.description,
      value:
        option.required || option.optional
          ? (/[<[](.+?)(?:\.\.\.)?[>\]]/.exec(option.flags)?.[1] ?? 'value')
          : undefined,
      choices: option.argChoices ?? [],
    }));
}

/** Commander exposes texts that were added to a help only when it prints the help. */
function notesOf(command: Command): string {
  let text = '';
  const before = command.configureOutput();
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  command.configureOutput(before);
  const own = command.helpInformation();
  return text.startsWith(own) ? text.slice(own.length).trim() : '';
}
