// gsyncd.conf as GlusterFS's own commands show and change it: the sections of the installed file with their metadata,
// and over them the session's `[vars]`. Values are cast by the section's `type`. The config commands and status use
// this form, since glusterd and its users read their output. Daemons use config.ts, which is typed and checks every
// value.
//
// The installed file decides which options exist, in addition to this program's own. If it is missing, the option
// table takes its place.

import { IniFile } from './ini.js';
import { configError, readIni } from './layers.js';
import { OPTION_NAMES, optionSpec, type OptionSpec } from './options.js';
import { substitute, templateVariables, type TemplateArgs } from './template.js';
import { parsePythonInt } from './values.js';
import { stripSpace } from './words.js';

export type SettingValue = string | number | boolean;

/** One option as `config-get` shows it. */
export interface Setting {
  readonly value: SettingValue;
  /** The default value as stock's commands know it; empty when the session does not set the option. */
  readonly default: SettingValue;
  readonly configurable: boolean;
  readonly modified: boolean;
}

type Metadata = ReadonlyMap<string, string>;

/** Options of one session; without a session file, the defaults. */
export class Settings {
  /** The session's file; undefined when none was named or it does not exist. */
  readonly sessionFile: string | undefined;
  readonly #metadata = new Map<string, Metadata>();
  readonly #values = new Map<string, SettingValue>();
  readonly #defaults = new Map<string, SettingValue>();
  readonly #sessionKeys: string[] = [];

  /** @throws GsyncdError `config`, one line, when a file cannot be read or parsed, or a value is not of its type. */
  constructor(defaultsFile: string, sessionFile: string | undefined, args: TemplateArgs) {
    const session = sessionFile === undefined ? undefined : readIni(sessionFile);
    const files = [readIni(defaultsFile) ?? tableAsIni('all'), session];
    this.sessionFile = session === undefined ? undefined : sessionFile;
    const sections = mergeSections(files.filter((file) => file !== undefined));
    for (const [name, entries] of sections) {
      if (name === '__meta__' || name === 'vars') continue;
      this.#metadata.set(name, entries);
      const value = entries.get('value');
      if (value !== undefined) this.#values.set(name, stripSpace(value));
    }
    // Lists stay as stock's: they show an option of this program only if the session sets it.
    for (const [name, entries] of mergeSections([tableAsIni('own')])) this.#metadata.set(name, entries);
    for (const [key, value] of sections.get('vars') ?? []) {
      this.#sessionKeys.push(key);
      this.#defaults.set(key, this.#values.get(key) ?? '');
      this.#values.set(key, stripSpace(value));
    }
    this.#substituteAll(args);
    this.#castAll();
  }

  get(name: string): SettingValue | undefined {
    return this.#values.get(name) ?? this.#defaultOf(name);
  }

  /** A value that every installed file has as a text, such as a path.
   *  @throws GsyncdError `config` when it is missing */
  text(name: string): string {
    const value = this.#values.get(name);
    if (value === undefined) throw configError(`${name}: no such option in the installed gsyncd.conf`);
    return String(value);
  }

  /** Metadata of an option: `help`, `type`, `validation` and so on; undefined when there is no such option. */
  metadata(name: string): Metadata | undefined {
    return this.#metadata.get(name);
  }

  /** The options that the session sets, without those that admins may not set; or every option. */
  list(which: 'session' | 'all'): Map<string, Setting> {
    const names =
      which === 'all' ? [...this.#values.keys()] : this.#sessionKeys.filter((name) => this.#isForAdmins(name));
    return new Map(names.map((name) => [name, this.#setting(name)]));
  }

  #defaultOf(name: string): SettingValue | undefined {
    const metadata = this.#metadata.get(name);
    const value = metadata?.get('value');
    return value === undefined ? undefined : (castValue(name, value, metadata?.get('type')) ?? value);
  }

  #setting(name: string): Setting {
    const defaultValue = this.#defaults.get(name) ?? '';
    return {
      value: this.#values.get(name) ?? '',
      default: defaultValue,
      configurable: this.#isForAdmins(name),
      modified: defaultValue !== '',
    };
  }

  #isForAdmins(name: string): boolean {
    return this.#metadata.get(name)?.get('configurable')?.toLowerCase() !== 'false';
  }

  #substituteAll(args: TemplateArgs): void {
    const variables = templateVariables(this.#values, args);
    for (const [name, value] of this.#values) {
      if (this.#metadata.get(name)?.get('template')?.toLowerCase() !== 'true') continue;
      this.#values.set(name, substitute(String(value), variables));
    }
  }

  /** Stock shows the present value of a typed option also as its default. */
  #castAll(): void {
    for (const [name, text] of this.#values) {
      const value = castValue(name, String(text), this.#metadata.get(name)?.get('type'));
      if (value === undefined) continue;
      this.#values.set(name, value);
      if (this.#defaults.has(name)) this.#defaults.set(name, value);
    }
  }
}

function castValue(name: string, text: string, type: string | undefined): SettingValue | undefined {
  if (type === 'bool') return text === 'true' || text === 'True';
  if (type !== 'int') return undefined;
  const value = parsePythonInt(text);
  if (Number.isNaN(value)) throw configError(`${name} = ${JSON.stringify(text)}: must be a whole number`);
  return value;
}

/** Sections of all files in order of appearance; the entries of a later file win. */
function mergeSections(files: readonly IniFile[]): Map<string, Map<string, string>> {
  const sections = new Map<string, Map<string, string>>();
  for (const file of files) {
    for (const name of file.sections()) {
      const entries = sections.get(name) ?? new Map<string, string>();
      sections.set(name, entries);
      for (const { key, value } of file.entries(name)) entries.set(key, value);
    }
  }
  return sections;
}

function tableAsIni(which: 'all' | 'own'): IniFile {
  const names = OPTION_NAMES.filter((name) => which === 'all' || optionSpec(name).own === true);
  const lines = names.flatMap((name) => [
    `[${name}]`,
    ...describeOption(optionSpec(name)).map(([key, value]) => `${key} = ${value}`),
  ]);
  return IniFile.parse(`${lines.join('\n')}\n`, 'option table');
}

/** An option's metadata in the format of the installed file. */
function describeOption(spec: OptionSpec): [string, string][] {
  const entries: [string, string][] = [
    ['value', spec.value],
    ['help', spec.help],
  ];
  if (spec.configurable === false) entries.push(['configurable', 'false']);
  if (spec.template === true) entries.push(['template', 'true']);
  if (spec.type === 'bool' || spec.type === 'int') entries.push(['type', spec.type]);
  if (spec.type === 'choice') entries.push(['validation', 'choice'], ['allowed_values', spec.allowed.join(',')]);
  else if ('validation' in spec && spec.validation !== 'path' && spec.validation !== undefined)
    entries.push(['validation', spec.validation]);
  else if ('max' in spec) entries.push(['validation', 'minmax'], ['min', String(spec.min)], ['max', String(spec.max)]);
  return entries;
}
