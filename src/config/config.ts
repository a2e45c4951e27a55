// A session's configuration in layers, each over the one before: the table's defaults, the installed gsyncd.conf (one
// section per option), the session's own gsyncd.conf (`[vars]`), and the command line. A daemon loads it once; a
// running worker reads only the few `live` options again.
//
// While loading, an invalid value of a known option or a file that cannot be parsed is fatal; the error names file and
// line. An unknown key is a warning. After loading, no change of the files can take a value away.

import { statSync } from 'node:fs';
import { errorLine } from '../errors.js';
import { fsEncode } from '../names.js';
import type { OptionOrigin, ParsedFile } from './layers.js';
import { configError, mergeLayers, readConfigFile } from './layers.js';
import type { LiveOptionName, OptionName, OptionValue } from './options.js';
import { OPTION_NAMES, optionSpec } from './options.js';
import { DEFAULTS_FILE } from './places.js';
import type { TemplateArgs } from './template.js';
import { parseValue } from './values.js';

export interface LoadConfigOptions {
  /** A file in sections form. The default is `/etc/glusterfs/gsyncd.conf`, which may be missing. A file that is named
   *  here must exist. */
  readonly defaultsFile?: string;
  /** The session's file. If it is missing, the defaults apply with a warning, as in the stock daemon. */
  readonly sessionFile?: string;
  readonly templateArgs: TemplateArgs;
  /** Texts that override both files. */
  readonly overrides?: Partial<Readonly<Record<OptionName, string>>>;
}

/**
 * Loads and checks the whole configuration.
 * @throws GsyncdError `config`, one line, for a file that cannot be read or parsed and for an invalid value.
 */
export function loadConfig(options: LoadConfigOptions): Config {
  return new Config(options);
}

export class Config {
  readonly sessionFile: string | undefined;
  /** Called with each warning that arises after loading. */
  onWarning: ((line: string) => void) | undefined;
  #options: LoadConfigOptions;
  readonly #defaults: ParsedFile | undefined;
  #texts: Map<OptionName, OptionOrigin>;
  #values: Map<OptionName, string | number | boolean>;
  readonly #warnings: string[] = [];
  #lastSessionStamp: string | undefined;

  constructor(options: LoadConfigOptions) {
    this.#options = options;
    this.sessionFile = options.sessionFile;
    this.#defaults = readDefaults(options.defaultsFile);
    this.#lastSessionStamp = this.#readSessionStamp();
    const session = this.#readSession();
    this.#texts = this.#merge(session);
    this.#values = valuesOf(this.#texts);
    this.#warnings.push(...(this.#defaults?.warnings ?? []), ...(session?.warnings ?? []));
    if (options.sessionFile !== undefined && session === undefined)
      this.#warnings.push(missingSessionWarning(options.sessionFile));
  }

  /** Problems that are not fatal, one line each. The list grows when live options are read. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /** The value as it was when the configuration was loaded, or at the last `getLive` of it. */
  get<N extends OptionName>(name: N): OptionValue<N> {
    return this.#values.get(name) as OptionValue<N>;
  }

  /**
   * The value that the session's file has now. Costs one stat while the file does not change. If the file is missing
   * or broken, the last values stay in force and a warning is reported once.
   */
  getLive<N extends LiveOptionName>(name: N): OptionValue<N> {
    const stamp = this.#readSessionStamp();
    if (stamp !== this.#lastSessionStamp) {
      this.#lastSessionStamp = stamp;
      this.#reload();
    }
    return this.get(name);
  }

  /** Sets template variables that were unknown when the configuration was loaded, such as the brick's.
   *  @throws GsyncdError 'config' for a value that is invalid with them */
  complete(templateArgs: TemplateArgs): void {
    this.#options = { ...this.#options, templateArgs: { ...this.#options.templateArgs, ...templateArgs } };
    this.#texts = this.#merge(this.#readSession());
    this.#values = valuesOf(this.#texts);
  }

  /** Source of a value, for messages about it and for commands that show it. */
  origin(name: OptionName): OptionOrigin {
    return this.#texts.get(name) ?? { text: '', where: 'default' };
  }

  #reload(): void {
    const file = this.sessionFile;
    if (file === undefined) return;
    let session: ParsedFile | undefined;
    try {
      session = this.#readSession();
    } catch (error) {
      this.#warn(`${errorLine(error)}; the options keep their last values`);
      return;
    }
    if (session === undefined) {
      this.#warn(`config: ${file}: missing; the options keep their last values`);
      return;
    }
    for (const line of session.warnings) this.#warn(line);
    const texts = this.#merge(session);
    for (const name of OPTION_NAMES) {
      if (optionSpec(name).reload !== 'live') continue;
      try {
        this.#values.set(name, valueOf(name, texts));
        const origin = texts.get(name);
        if (origin !== undefined) this.#texts.set(name, origin);
      } catch (error) {
        this.#warn(`${errorLine(error)}; it keeps its last value`);
      }
    }
  }

  #warn(line: string): void {
    if (this.#warnings.includes(line)) return;
    this.#warnings.push(line);
    this.onWarning?.(line);
  }

  #readSession(): ParsedFile | undefined {
    const file = this.sessionFile;
    if (file === undefined) return undefined;
    const { primary, secondaryvol } = this.#options.templateArgs;
    return readConfigFile(file, `peers ${primary ?? ''} ${secondaryvol ?? ''}`);
  }

  #merge(session: ParsedFile | undefined): Map<OptionName, OptionOrigin> {
    const files = [this.#defaults, session].filter((parsed) => parsed !== undefined);
    return mergeLayers(files, this.#options.overrides ?? {}, this.#options.templateArgs);
  }

  #readSessionStamp(): string | undefined {
    if (this.sessionFile === undefined) return undefined;
    try {
      const stat = statSync(fsEncode(this.sessionFile), { bigint: true, throwIfNoEntry: false });
      return stat && `${stat.ino}:${stat.size}:${stat.mtimeNs}`;
    } catch (error) {
      return errorLine(error);
    }
  }
}

function valuesOf(texts: Map<OptionName, OptionOrigin>): Map<OptionName, string | number | boolean> {
  return new Map(OPTION_NAMES.map((name) => [name, valueOf(name, texts)]));
}

function missingSessionWarning(file: string): string {
  return `Session config file not exists, using the default config [{path=${file}}]`;
}

function readDefaults(path: string | undefined): ParsedFile | undefined {
  const parsed = readConfigFile(path ?? DEFAULTS_FILE, undefined);
  if (parsed === undefined && path !== undefined) throw configError(`${path}: no such file`);
  return parsed;
}

function valueOf(name: OptionName, texts: ReadonlyMap<OptionName, OptionOrigin>): string | number | boolean {
  const { text, where } = texts.get(name) ?? { text: '', where: 'default' };
  const parsed = parseValue(optionSpec(name), text);
  if ('value' in parsed) return parsed.value;
  throw configError(`${name} = ${JSON.stringify(text)} (${where}): must be ${parsed.problem}`);
}
