// The tar keys of sessions in authorized_keys. GlusterFS writes them with `command="tar ${SSH_ORIGINAL_COMMAND#* }"`,
// which lets one option of tar run any program. A restricted line goes through this program instead, which runs tar
// only as primaries request it. Both directions replace only these characters, so a restricted line can be restored
// byte for byte.

const STOCK_COMMAND = 'command="tar ${SSH_ORIGINAL_COMMAND#* }"';
/** A tar command in any spelling that takes the client's words. */
const UNRESTRICTED = /command="[^"]*\btar\b[^"]*SSH_ORIGINAL_COMMAND/i;
const RESTRICTED_COMMAND = /restrict,command="[^"\s]+\/gsyncd --tar-key(?: --only-volume [\w-]+)?"/;
/** Applies to every host at any time, so sshd uses no later line of the key. */
const UNCONDITIONALLY_RESTRICTED = new RegExp(`^\\s*${RESTRICTED_COMMAND.source}\\s+$`);
const PUBLIC_KEY = /\b(?:ssh|ecdsa|sk)-[\w@.-]+ ([A-Za-z0-9+/=]+)/;

/** The text of an authorized_keys file in which each tar key goes through `gsyncd`, an absolute path without spaces. */
export function restrictTarKeys(text: string, gsyncd: string): string {
  return mapKeyLines(text, (line) => line.replace(STOCK_COMMAND, () => `restrict,command="${gsyncd} --tar-key"`));
}

/** The text with each tar key in GlusterFS's form. */
export function unrestrictTarKeys(text: string): string {
  return mapKeyLines(text, (line) => line.replace(RESTRICTED_COMMAND, () => STOCK_COMMAND));
}

/** Number of lines that let a client choose tar's options. sshd takes the first line of a key, so this does not
 *  include a line below a restricted line of the same key. GlusterFS adds its own line again whenever it sends the
 *  keys. */
export function countUnrestrictedTarKeys(text: string): number {
  const restricted = new Set<string>();
  let count = 0;
  mapKeyLines(text, (line) => {
    const key = PUBLIC_KEY.exec(line);
    const [name, options] = key === null ? [line, line] : [key[1] ?? '', line.slice(0, key.index)];
    if (UNCONDITIONALLY_RESTRICTED.test(options)) restricted.add(name);
    else if (UNRESTRICTED.test(options) && !restricted.has(name)) count += 1;
    return line;
  });
  return count;
}

/** Applies `change` to all lines that are not comments. */
function mapKeyLines(text: string, change: (line: string) => string): string {
  return text
    .split('\n')
    .map((line) => (line.trimStart().startsWith('#') ? line : change(line)))
    .join('\n');
}
