// Completion scripts for bash and zsh, generated from the commands' definitions. They need no other file: the Tab key
// does not start the program. Pure.

import { shellQuote } from '../../install/launcher.js';
import type { CommandInfo, OptionInfo, ProgramInfo } from './command-tree.js';

export const SHELLS = ['bash', 'zsh'] as const;
export type Shell = (typeof SHELLS)[number];

export function completionScript(program: ProgramInfo, shell: Shell): string {
  return shell === 'bash' ? bashScript(program) : zshScript(program);
}

function bashScript(program: ProgramInfo): string {
  const fn = `_${program.name.replaceAll(/\W/g, '_')}`;
  return `# bash completion of ${program.name}: source it, or put it in /usr/share/bash-completion/completions/${program.name}
${fn}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command= word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD - 1}"; do
    case $word in -*) ;; *) command=$word; break ;; esac
  done
  COMPREPLY=()
  case $command in
${program.commands.map(bashCommand).join('\n')}
    *) COMPREPLY=($(compgen -W ${shellQuote(words([...program.commands.map(({ name }) => name), ...program.options.flatMap(names)]))} -- "$current")) ;;
  esac
}
complete -F ${fn} ${program.name}
`;
}

function bashCommand(command: CommandInfo): string {
  const withChoices = command.options.filter(({ choices }) => choices.length > 0);
  const withFiles = command.options.filter(({ value, choices }) => value !== undefined && choices.length === 0);
  const values = [
    ...withChoices.map(
      (option) =>
        `        ${names(option).join('|')}) COMPREPLY=($(compgen -W ${shellQuote(words(option.choices))} -- "$current")); return ;;`,
    ),
    ...(withFiles.length === 0 ? [] : [`        ${withFiles.flatMap(names).join('|')}) compopt -o default; return ;;`]),
  ];
  const offered = [...command.options.flatMap(names), ...command.arguments.flatMap(({ choices }) => choices)];
  return [
    `    ${command.name})`,
    ...(values.length === 0 ? [] : ['      case $previous in', ...values, '      esac']),
    `      COMPREPLY=($(compgen -W ${shellQuote(words(offered))} -- "$current")) ;;`,
  ].join('\n');
}

function zshScript(program: ProgramInfo): string {
  const fn = `_${program.name.replaceAll(/\W/g, '_')}`;
  return `#compdef ${program.name}
# zsh completion of ${program.name}: put it as _${program.name} in a directory of $fpath, or source it
${fn}() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -C \\
${program.options
  .flatMap(zshOption)
  .map((spec) => `    ${spec} \\\n`)
  .join('')}    '1: :->command' '*:: :->rest'
  case $state in
    command)
      local -a commands=(
${program.commands.map(({ name, description }) => `        ${shellQuote(`${name}:${description}`)}`).join('\n')}
      )
      _describe command commands ;;
    rest)
      case $line[1] in
${program.commands.map(zshCommand).join('\n')}
      esac ;;
  esac
}
if [[ $funcstack[1] = _${program.name} ]]; then ${fn} "$@"; else compdef ${fn} ${program.name}; fi
`;
}

function zshCommand(command: CommandInfo): string {
  const specs = [
    ...command.options.flatMap(zshOption),
    ...command.arguments.map(({ name, choices }, at) =>
      shellQuote(`${at + 1}:${zshText(name)}:${choices.length > 0 ? `(${choices.join(' ')})` : ''}`),
    ),
  ];
  return `        ${command.name}) _arguments ${specs.join(' ')} ;;`;
}

function zshOption(option: OptionInfo): string[] {
  const value =
    option.value === undefined
      ? ''
      : `:${zshText(option.value)}:${option.choices.length > 0 ? `(${option.choices.join(' ')})` : '_files'}`;
  return names(option).map((name) => shellQuote(`${name}[${zshText(option.description)}]${value}`));
}

/** Escapes the characters that _arguments interprets in a description. */
function zshText(description: string): string {
  return description.replaceAll(/[\\[\]:]/g, '\\$&');
}

function names({ short, long }: OptionInfo): string[] {
  return [short, long].filter((name) => name !== undefined);
}

function words(list: readonly string[]): string {
  return list.join(' ');
}
