// Translates the argument style in which glusterd calls gsyncd (`--status-get -c FILE --iprefix=/var :gv0 host::sv0
// --path /b`) to the subcommands of this program. Pure: files that glusterd expects afterwards, and names to look up,
// are parts of the result. A command line in another style stays as it is, but --inet6 is repeated at its beginning.
// The tests compare every rule with the stock daemon's own argsupgrade.py.

import { sessionConfigPath } from '../../config/template.js';
import { parseKnownArgs, type ArgumentSpec, type ParsedArguments } from './argparse.js';

/** A file that is created empty when it is missing. */
export interface TouchFile {
  readonly path: string;
  /** 'create' also makes its directory; 'require' leaves the file out when the directory is missing. */
  readonly directory: 'create' | 'require';
}

export type LegacyOutcome =
  /** Goes on as the command line `argv`, with the options `own`, which the stock daemon does not have. */
  | {
      readonly kind: 'run';
      readonly argv: readonly string[];
      readonly own: readonly string[];
      readonly touch: readonly TouchFile[];
    }
  /** Prints one line for each URL, its host as an IPv4 address unless `resolve` is false. `refused` is the fault in
   *  the URL after the last of `urls`, which are answered all the same. */
  | {
      readonly kind: 'canonicalize';
      readonly urls: readonly RemoteVolume[];
      readonly resolve: boolean;
      readonly refused?: string;
    }
  | { readonly kind: 'print'; readonly line: string }
  | { readonly kind: 'done'; readonly touch: readonly TouchFile[] }
  /** The command line is invalid; `exitCode` is stock's. */
  | { readonly kind: 'refused'; readonly line: string; readonly exitCode: 1 | 2 };

export interface RemoteVolume {
  readonly user: string;
  readonly host: string;
  readonly volume: string;
}

/** Argument that glusterd adds for a paused session. */
const PAUSED = '--pause-on-start';

/** Option of `status`: only the fields of the stock daemon, which glusterd expects. */
export const STOCK_FIELDS = 'stock-fields';

/** A fault for which stock's parser has no sentence. */
class Refusal extends Error {}

/** glusterd looks for the template of sessions here. It is created for every command. */
export function templateFile(workdir: string): TouchFile {
  return { path: `${workdir}/geo-replication/gsyncd_template.conf`, directory: 'create' };
}

const SESSION: ArgumentSpec = { positionals: ['primary', 'secondary'], options: ['-c', '--iprefix'] };

/** In the order of lookup: the first rule whose mark is in the command line applies. */
const RULES: readonly {
  readonly mark: string;
  readonly spec: ArgumentSpec;
  readonly rewrite: (request: Request) => LegacyOutcome;
}[] = [
  {
    mark: '--monitor',
    spec: { ...SESSION, options: ['--glusterd-uuid', '-c', '--iprefix', '--path'] },
    // Stock drops the flag, and replicates. Here the monitor gets it.
    rewrite: (r) =>
      r.session('monitor', ['--local-node-id', r.need('--glusterd-uuid'), ...(r.has(PAUSED) ? [PAUSED] : [])]),
  },
  {
    mark: '--status-get',
    spec: { ...SESSION, options: ['-c', '--path', '--iprefix'] },
    rewrite: (r) => r.session('status', ['--local-path', r.need('--path')], [`--${STOCK_FIELDS}`]),
  },
  {
    mark: '--canonicalize-url',
    spec: { list: '--canonicalize-url' },
    rewrite: (r) => ({ kind: 'canonicalize', resolve: !r.inet6, ...parseRemoteVolumes(r.parsed.list) }),
  },
  {
    mark: '--normalize-url',
    spec: { options: ['--normalize-url'] },
    rewrite: (r) => ({ kind: 'print', line: `ssh://${parseSecondaryUrl(r.need('--normalize-url'))}` }),
  },
  {
    mark: '--config-get-all',
    spec: SESSION,
    rewrite: (r) => r.session('config-get', ['--show-defaults', '--use-underscore']),
  },
  { mark: '--verify', spec: {}, rewrite: () => ({ kind: 'done', touch: [] }) },
  {
    mark: '--secondaryvoluuid-get',
    spec: { options: ['--secondaryvoluuid-get', '-c', '--iprefix'] },
    rewrite: (r) => r.command('voluuidget', splitInTwo(r.need('--secondaryvoluuid-get'), '::')),
  },
  {
    mark: '--config-set-rx',
    spec: { options: ['-c'] },
    rewrite: (r) => {
      const path = r.need('-c');
      return { kind: 'done', touch: path.endsWith('gsyncd.conf') ? [{ path, directory: 'create' }] : [] };
    },
  },
  {
    mark: '--create',
    spec: { ...SESSION, options: ['--create', '-c', '--iprefix'] },
    rewrite: (r) => r.session('monitor-status', [r.need('--create')]),
  },
  {
    mark: '--config-get',
    spec: { ...SESSION, options: ['--config-get', '-c', '--iprefix'] },
    rewrite: (r) =>
      r.session('config-get', ['--only-value', '--show-defaults', '--name', withDashes(r.need('--config-get'))]),
  },
  {
    mark: '--config-set',
    spec: { positionals: ['primary', 'secondary', 'name'], options: ['--value', '-c'], flags: ['--config-set'] },
    rewrite: (r) =>
      r.session('config-set', [`--name=${r.need('name')}`, `--value=${r.parsed.values.get('--value') ?? 'None'}`]),
  },
  {
    mark: '--config-check',
    spec: { options: ['--config-check', '-c'] },
    rewrite: (r) => r.command('config-check', [withDashes(r.need('--config-check'))]),
  },
  {
    mark: '--config-del',
    spec: { ...SESSION, options: ['--config-del', '-c', '--iprefix'] },
    rewrite: (r) => r.session('config-reset', [withDashes(r.need('--config-del'))]),
  },
  {
    mark: '--delete',
    spec: {
      positionals: ['primary', 'secondary'],
      options: ['--path-list', '--iprefix', '-c'],
      flags: ['--reset-sync-time'],
    },
    rewrite: (r) => r.session('delete', [...splitPathList(r.need('--path-list')), ...[...r.parsed.flags]]),
  },
];

class Request {
  readonly parsed: ParsedArguments;
  readonly #args: readonly string[];
  readonly #workdir: string;

  constructor(parsed: ParsedArguments, args: readonly string[], workdir: string) {
    this.parsed = parsed;
    this.#args = args;
    this.#workdir = workdir;
  }

  get inet6(): boolean {
    return this.has('--inet6');
  }

  /** Whether a flag that stock's parser of the rule does not know is among the arguments, spelled out. */
  has(flag: string): boolean {
    return this.#args.includes(flag);
  }

  need(name: string): string {
    const value = this.parsed.values.get(name);
    if (value === undefined) throw new Refusal(`${name}: missing`);
    return value;
  }

  command(
    name: string,
    args: readonly string[],
    own: readonly string[] = [],
    touch: readonly TouchFile[] = [],
  ): LegacyOutcome {
    return { kind: 'run', argv: [...(this.inet6 ? ['--inet6'] : []), name, ...args], own, touch };
  }

  /** A command about a session. The session's file is created when its directory exists. */
  session(name: string, args: readonly string[], own: readonly string[] = []): LegacyOutcome {
    const primary = this.need('primary').replaceAll(/^:+|:+$/g, '');
    const secondary = parseSecondaryUrl(this.need('secondary'));
    const [address = '', volume = ''] = splitInTwo(secondary, '::');
    const host = address.split('@').at(-1) ?? '';
    const path = sessionConfigPath(this.#workdir, primary, host, volume);
    return this.command(name, [primary, secondary, ...args], own, [{ path, directory: 'require' }]);
  }
}

/** `args` are the arguments without program names; `workdir` is glusterd's. */
export function translateLegacyArgs(args: readonly string[], workdir: string): LegacyOutcome {
  const rule = RULES.find(({ mark }) => args.includes(mark) && (mark !== '--verify' || args.includes('spawning')));
  if (rule === undefined)
    return { kind: 'run', argv: args.includes('--inet6') ? ['--inet6', ...args] : args, own: [], touch: [] };
  if (rule.mark === '--config-set' && args.includes('session-owner')) return { kind: 'done', touch: [] };
  const parsed = parseKnownArgs(rule.spec, args);
  if ('problem' in parsed) return { kind: 'refused', line: parsed.problem, exitCode: 2 };
  try {
    return rule.rewrite(new Request(parsed, args, workdir));
  } catch (error) {
    if (error instanceof Refusal) return { kind: 'refused', line: error.message, exitCode: 1 };
    throw error;
  }
}

function withDashes(name: string): string {
  return name.replaceAll('_', '-');
}

function splitInTwo(text: string, separator: string): [string, string] {
  const [first, second, ...rest] = text.split(separator);
  if (first === undefined || second === undefined || rest.length > 0)
    throw new Refusal(`${text}: must be [USER@]HOST::VOLUME`);
  return [first, second];
}

/** `[ssh://][USER@]HOST::VOLUME[:UUID]` without scheme and uuid. */
function parseSecondaryUrl(url: string): string {
  const [host, volume] = splitInTwo(url.replaceAll('ssh://', ''), '::');
  return `${host}::${volume.split(':')[0] ?? ''}`;
}

function parseRemoteVolumes(texts: readonly string[]): { urls: RemoteVolume[]; refused?: string } {
  const urls: RemoteVolume[] = [];
  try {
    for (const text of texts) urls.push(parseRemoteVolume(text));
    return { urls };
  } catch (error) {
    if (error instanceof Refusal) return { urls, refused: error.message };
    throw error;
  }
}

function parseRemoteVolume(url: string): RemoteVolume {
  const [address, volume] = splitInTwo(url, '::');
  const bare = address.replaceAll('ssh://', '');
  const [user, host] = splitInTwo(bare.includes('@') ? bare : `root@${bare}`, '@');
  return { user, host, volume };
}

/** Splits one argument `--path=/b/1 --path=/b/2 ` into one argument per path. */
function splitPathList(text: string): string[] {
  return text
    .split('--path=')
    .map((path) => path.trim())
    .filter((path) => path !== '')
    .map((path) => `--path=${path}`);
}
