// `gsyncd-ts config-get`: one option or all of them, as `gluster volume geo-replication … config` shows them.

import type { Command } from 'commander';
import type { SettingValue } from '../../config/settings.js';
import { optionName, unknownOption } from '../config-words.js';
import { openSession, type CommonFlags } from '../open-session.js';
import { printLines } from '../print.js';
import { pythonJson, pythonText } from '../python-text.js';

interface ConfigGetFlags extends CommonFlags {
  readonly name?: string;
  readonly showDefaults?: true;
  readonly onlyValue?: true;
  readonly useUnderscore?: true;
  readonly json?: true;
}

export function addConfigGetCommand(program: Command): void {
  program
    .command('config-get')
    .description("print a session's options")
    .argument('<primary>', 'name of the primary volume')
    .argument('<secondary>', 'the secondary volume: [USER@]HOST::VOLUME')
    .option('--name <option>', 'only this option')
    .option('--show-defaults', 'print also what the session does not set')
    .option('--only-value', 'print the value without the name')
    .option('--use-underscore', 'print names with _')
    .option('--json', 'print one JSON list, values as texts')
    .option('-c, --config-file <path>', "the session's gsyncd.conf (default: glusterd's)")
    .option('--debug', 'log to the terminal')
    .addHelpText('after', '\nExample:\n  gsyncd-ts config-get gv0 backup.example::sv0 --show-defaults --name sync-jobs')
    .action(runConfigGet);
}

async function runConfigGet(primary: string, secondary: string, flags: ConfigGetFlags): Promise<void> {
  const { settings } = await openSession({ command: 'config-get', primary, secondary, flags, oldForm: 'upgrade' });
  const all = settings.list(flags.showDefaults === true ? 'all' : 'session');
  const line = (name: string, value: SettingValue): string => `${flags.useUnderscore === true ? name.replaceAll('-', '_') : name}:${shown(value)}`;
  if (flags.name !== undefined) {
    const found = all.get(optionName(flags.name));
    if (found === undefined) throw unknownOption(flags.name);
    printLines([flags.onlyValue === true ? shown(found.value) : line(flags.name, found.value)]);
    return;
  }
  const names = [...all.keys()].sort();
  const rows = names.flatMap((name) => {
    const setting = all.get(name);
    return setting === undefined ? [] : [{ name, ...setting, value: setting.value }];
  });
  if (flags.json !== true) printLines(rows.map(({ name, value }) => line(name, value)));
  else {
    printLines([
      pythonJson(
        rows.map(({ name, value, default: standard, configurable, modified }) => {
          return { name, value: pythonText(value), default: pythonText(standard), configurable, modified };
        }),
      ),
    ]);
  }
}

function shown(value: SettingValue): string {
  return typeof value === 'boolean' ? String(value) : pythonText(value);
}
