// Opens the session of a short command: from names on the command line to the session's settings and log. If the
// session's file is missing, the defaults apply and the log says so, as in the stock daemon.

import { existsSync } from 'node:fs';
import { DEFAULTS_FILE, GLUSTERD_WORKDIR } from '../config/places.js';
import { readIni } from '../config/layers.js';
import { Settings } from '../config/settings.js';
import { sessionConfigPath, sessionTemplateArgs } from '../config/template.js';
import { GsyncdError } from '../errors.js';
import { fsEncode } from '../names.js';
import { CommandLog } from './command-log.js';
import type { Flags } from './fast-command.js';

export interface OpenSession {
  readonly settings: Settings;
  readonly log: CommandLog;
}

export interface SessionRequest {
  /** Name of the command, for the log. */
  readonly command: string;
  readonly primary: string;
  /** `[USER@]HOST::VOLUME` */
  readonly secondary: string;
  readonly flags: Flags;
  readonly localPath?: string;
  /** 'upgrade' first converts a session's file of an old release to the present form. */
  readonly oldForm?: 'upgrade' | 'keep';
}

/** @throws GsyncdError `fault`: SECONDARY is not [USER@]HOST::VOLUME; `config`: a file cannot be read or parsed */
export async function openSession(request: SessionRequest): Promise<OpenSession> {
  const { primary, secondary, flags, command } = request;
  const [address, volume, ...rest] = secondary.split('::');
  if (address === undefined || volume === undefined || rest.length > 0) {
    throw new GsyncdError(`secondary: ${secondary}: must be [USER@]HOST::VOLUME`, { code: 'fault' });
  }
  const userAndHost = address.split('@');
  const host = userAndHost.at(-1) ?? '';
  const path = flags.value('config-file') ?? sessionConfigPath(GLUSTERD_WORKDIR, primary, host, volume);
  const file = existsSync(fsEncode(path)) ? path : undefined;
  if (file !== undefined && request.oldForm === 'upgrade') await upgradeOldForm(file, primary, volume);
  const args = sessionTemplateArgs({
    primary,
    secondaryUser: userAndHost.length === 2 ? (userAndHost[0] ?? '') : 'root',
    secondaryHost: host,
    secondaryVolume: volume,
    localPath: request.localPath,
  });
  const settings = new Settings(DEFAULTS_FILE, file, { ...args, secondary });
  const log = openCommandLog(settings, command, flags, 'session');
  if (file === undefined) log.warn('Session config file not exists, using the default config', { path });
  else log.debug('Using session config file', { path: file });
  return { settings, log };
}

/** The installed defaults alone, for commands without a session. */
export function openDefaults(command: string, flags: Flags): OpenSession {
  const settings = new Settings(DEFAULTS_FILE, undefined, {});
  return { settings, log: openCommandLog(settings, command, flags, 'cli') };
}

function openCommandLog(settings: Settings, label: string, flags: Flags, kind: 'session' | 'cli'): CommandLog {
  if (flags.has('debug')) return new CommandLog({ destination: '-', level: 'DEBUG', label });
  const [file, level] =
    kind === 'session' ? (['log-file', 'log-level'] as const) : (['cli-log-file', 'cli-log-level'] as const);
  return new CommandLog({ destination: settings.text(file), level: settings.text(level), label });
}

/** Loads the module that changes files only if the file has to change. */
async function upgradeOldForm(file: string, primary: string, volume: string): Promise<void> {
  if (readIni(file)?.sections().includes(`peers ${primary} ${volume}`) !== true) return;
  const { upgradeSessionFile } = await import('../config/edit.js');
  await upgradeSessionFile(file, primary, volume);
}
