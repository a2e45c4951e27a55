// The command line that a session's tar key may ask for: `tar --overwrite -xf - -C DIRECTORY`, as stock's primary
// sends it, with two options that this project's primary adds. Pure.

/** Options that primaries send in addition to `-xf -` and `-C`. This project's primary adds ACLs and the size of
 *  records. */
const OPTION = /^--(?:overwrite|acls|record-size=\d{1,4}K)$/;
const SESSION_DIRECTORY = /^\/proc\/([1-9]\d{0,9})\/cwd$/;

export interface TarLine {
  /** Options of tar, without the directory. */
  readonly options: readonly string[];
  /** tar extracts in the working directory of this process. */
  readonly pid: number;
}

/** Parses the words after `tar`; undefined when no primary sends them. */
export function parseTarLine(words: readonly string[]): TarLine | undefined {
  const [extract, dash, change, directory = ''] = words.slice(-4);
  const options = words.slice(0, -4);
  const pid = SESSION_DIRECTORY.exec(directory)?.[1];
  if (extract !== '-xf' || dash !== '-' || change !== '-C' || pid === undefined) return undefined;
  if (!options.includes('--overwrite') || !options.every((option) => OPTION.test(option))) return undefined;
  return { options: [...options, '-xf', '-'], pid: Number(pid) };
}
