// `gsyncd-ts config-get`: prints one option or all of them, as `gluster volume geo-replication … config` shows them.

import type { SettingValue } from '../../config/settings.js';
import { optionName, unknownOption } from '../config-errors.js';
import { openSession } from '../open-session.js';
import { printLines } from '../print.js';
import { pythonJson, pythonText } from '../legacy/python-text.js';
import { CONFIG_FILE, DEBUG, SESSION_POSITIONALS, type Flags, type FastCommand } from '../fast-command.js';

export const configGetCommand: FastCommand = {
  name: 'config-get',
  description: "print a session's options",
  positionals: SESSION_POSITIONALS,
  options: [
    { name: 'name', value: 'option', help: 'only this option' },
    { name: 'show-defaults', help: 'print also what the session does not set' },
    { name: 'only-value', help: 'print the value without the name' },
    { name: 'use-underscore', help: 'print names with _' },
    { name: 'json', help: 'print one JSON list, values as texts' },
    CONFIG_FILE,
    DEBUG,
  ],
  example: 'gv0 backup.example::sv0 --show-defaults --name sync-jobs',
  run: runConfigGet,
};

async function runConfigGet([primary = '', secondary = '']: readonly string[], flags: Flags): Promise<void> {
  const { settings } = await openSession({ command: 'config-get', primary, secondary, flags, oldForm: 'upgrade' });
  const all = settings.list(flags.has('show-defaults') ? 'all' : 'session');
  const formatLine = (name: string, value: SettingValue): string =>
    `${flags.has('use-underscore') ? name.replaceAll('-', '_') : name}:${formatValue(value)}`;
  const given = flags.value('name');
  if (given !== undefined) {
    const found = all.get(optionName(given));
    if (found === undefined) throw unknownOption(given);
    printLines([flags.has('only-value') ? formatValue(found.value) : formatLine(given, found.value)]);
    return;
  }
  const names = [...all.keys()].sort();
  const rows = names.flatMap((name) => {
    const setting = all.get(name);
    return setting === undefined ? [] : [{ name, ...setting }];
  });
  if (!flags.has('json')) printLines(rows.map(({ name, value }) => formatLine(name, value)));
  else {
    printLines([
      pythonJson(
        rows.map(({ name, value, default: defaultValue, configurable, modified }) => {
          return { name, value: pythonText(value), default: pythonText(defaultValue), configurable, modified };
        }),
      ),
    ]);
  }
}

function formatValue(value: SettingValue): string {
  return typeof value === 'boolean' ? String(value) : pythonText(value);
}
