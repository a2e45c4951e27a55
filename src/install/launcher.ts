// The file that takes the stock gsyncd's place: a few lines of sh that exec node with this program. glusterd starts it
// with an almost empty environment, sshd as a forced command of any user. So it names node and the program by absolute
// paths. It adds the usual directories to PATH for the programs that this program starts. This module also detects
// whether a file in that place is a launcher, the stock gsyncd, or unknown. Pure.

/** In the launcher's second line. A later install or uninstall recognizes the launcher by it. */
const MARK = '# gsyncd-ts launcher';
const USUAL_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export type GsyncdKind = 'launcher' | 'stock' | 'unknown';

/** The launcher's text. `node` and `script` are absolute paths. */
export function launcherText(node: string, script: string): string {
  return [
    '#!/bin/sh',
    `${MARK}: made by "gsyncd-ts install", taken away by "gsyncd-ts install --uninstall".`,
    '# The file that was here before is beside this one, as gsyncd.stock.',
    `PATH="\${PATH:+$PATH:}${USUAL_PATH}"`,
    'export PATH',
    `node=${shellQuote(node)}`,
    '[ -x "$node" ] || node=node',
    `exec "$node" ${shellQuote(script)} "$@"`,
    '',
  ].join('\n');
}

/** A word in single quotes for a POSIX shell. */
export function shellQuote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** Detects the kind of a file in the stock path. The stock gsyncd is a compiled wrapper, or on some systems a script,
 *  that starts Python's gsyncd. */
export function gsyncdKind(content: Buffer): GsyncdKind {
  if (content.subarray(0, 2).equals(Buffer.from('#!')) && content.subarray(0, 256).includes(`\n${MARK}`))
    return 'launcher';
  const startsPython = content.includes('syncdaemon') && content.includes('gsyncd.py');
  const isElf = content.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'));
  const isPython = /^#![^\n]*python/.test(content.subarray(0, 200).toString('latin1'));
  return startsPython && (isElf || isPython) ? 'stock' : 'unknown';
}
