// The manual page, in roff, generated from the commands' definitions and a few fixed paragraphs. Pure.

import type { CommandInfo, OptionInfo, ProgramInfo } from './command-tree.js';

export function manPage(program: ProgramInfo, version: string): string {
  const { name } = program;
  return [
    `.TH ${name.toUpperCase()} 8 "" "${name} ${version}" "System Administration"`,
    '.SH NAME',
    `${text(name)} \\- GlusterFS geo\\-replication daemon`,
    '.SH SYNOPSIS',
    ...program.commands.flatMap((info, at) => [...(at === 0 ? [] : ['.br']), ...synopsis(info)]),
    '.SH DESCRIPTION',
    text(
      `${program.description}. Put in the stock gsyncd's place by its command install, it is started by glusterd and by ssh as that one; the commands may be used by hand, too.`,
    ),
    '.SH OPTIONS',
    ...program.options.flatMap(option),
    '.SH COMMANDS',
    ...program.commands.flatMap(command),
    '.SH ENVIRONMENT',
    ...item(
      'SSH_ORIGINAL_COMMAND',
      'Set by sshd for a forced command. Without arguments, the program then runs what the client asked for if it is the rsync server of the session, the secondary or "gluster volume info", and refuses anything else. Two arguments in authorized_keys limit a key further: --only-volume NAME to one secondary volume, --tar-key to tar in the mount of a session.',
    ),
    ...item('_GLUSTERD_CALLED_', '1 when glusterd is the caller, which is not restricted.'),
    '.SH EXIT STATUS',
    ...item('0', 'Success.'),
    ...item('1', 'Failure, with one line on standard error.'),
    ...item('2', 'The command line cannot be understood, or the configuration of a worker that no monitor started.'),
    '.SH FILES',
    ...item('/var/lib/glusterd/geo-replication/SESSION/gsyncd.conf', "The session's configuration."),
    ...item('/etc/glusterfs/gsyncd.conf', 'The configuration of all sessions.'),
    ...item('/var/log/glusterfs/geo-replication/', "The sessions' logs."),
    ...item('/etc/gsyncd-ts/NAME.conf', 'What gsyncd-ts-worker@NAME.service replicates; the unit says how.'),
    '.SH SEE ALSO',
    '.BR gluster (8),',
    '.BR rsync (1),',
    '.BR ssh (1)',
    '',
  ].join('\n');
}

function synopsis({ usage }: CommandInfo): string[] {
  return [`.B ${text(usage.split(' ').slice(0, 2).join(' '))}`, text(usage.split(' ').slice(2).join(' '))];
}

function command(info: CommandInfo): string[] {
  const notes = info.notes.split('\n').map((line) => line.trimEnd());
  return [
    `.SS ${text(info.usage)}`,
    text(sentence(info.description)),
    ...info.arguments.flatMap((argument) =>
      item(argument.name.toUpperCase(), [argument.description, ...choices(argument.choices)].join(' ')),
    ),
    ...info.options.flatMap(option),
    ...(info.notes === '' ? [] : ['.PP', '.nf', ...notes.map(text), '.fi']),
  ];
}

function option(info: OptionInfo): string[] {
  return item(info.flags, [sentence(info.description), ...choices(info.choices)].join(' '));
}

function choices(values: readonly string[]): string[] {
  return values.length === 0 ? [] : [`One of: ${values.join(', ')}.`];
}

function item(term: string, description: string): string[] {
  return ['.TP', `.B ${text(term)}`, text(description)];
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}

/** Escapes text for roff: hyphens become minus signs, and no line is a request. */
function text(words: string): string {
  const escaped = words.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('"', '\\(dq');
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}
