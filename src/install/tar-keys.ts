// The tar keys of sessions in authorized_keys. GlusterFS gives them `command="tar ${SSH_ORIGINAL_COMMAND#* }"`, in which one
// option of tar runs any program. Such a line can go through this program instead, which runs tar as primaries ask for it and
// nothing else. Both directions replace these characters alone, so a line that was rewritten can be put back byte for byte.

const STOCK = 'command="tar ${SSH_ORIGINAL_COMMAND#* }"';
/** In any spelling: a tar that takes the client's words. */
const UNRESTRICTED = /command="[^"]*\btar\b[^"]*SSH_ORIGINAL_COMMAND/i;
const OWN = /restrict,command="[^"\s]+\/gsyncd --tar-key(?: --only-volume [\w-]+)?"/;
/** Holds from everywhere and at any time: sshd looks at no later line of the key. */
const ALWAYS_OWN = new RegExp(`^\\s*${OWN.source}\\s+$`);
const KEY = /\b(?:ssh|ecdsa|sk)-[\w@.-]+ ([A-Za-z0-9+/=]+)/;

/** The text of an authorized_keys file with each tar key going through `gsyncd`, an absolute path without spaces. */
export function restrictTarKeys(text: string, gsyncd: string): string {
  return eachLine(text, (line) => line.replace(STOCK, () => `restrict,command="${gsyncd} --tar-key"`));
}

/** The text with each tar key as GlusterFS wrote it. */
export function releaseTarKeys(text: string): string {
  return eachLine(text, (line) => line.replace(OWN, () => STOCK));
}

/** How many lines let a client choose tar's options. sshd takes the first line of a key, so a line below one that goes
 *  through this program does not count: GlusterFS adds its own again whenever it sends the keys. */
export function countTarKeys(text: string): number {
  const restricted = new Set<string>();
  let count = 0;
  eachLine(text, (line) => {
    const key = KEY.exec(line);
    const [name, options] = key === null ? [line, line] : [key[1] ?? '', line.slice(0, key.index)];
    if (ALWAYS_OWN.test(options)) restricted.add(name);
    else if (UNRESTRICTED.test(options) && !restricted.has(name)) count += 1;
    return line;
  });
  return count;
}

/** Comments stay as they are. */
function eachLine(text: string, change: (line: string) => string): string {
  return text
    .split('\n')
    .map((line) => (line.trimStart().startsWith('#') ? line : change(line)))
    .join('\n');
}
