// Converts operations and failures to and from the dicts of a stock secondary, with the keys that a stock primary sends.
// Pure. Every operation gets separate dicts, since a stock secondary resets uid and gid in the stat that it receives.

import { GsyncdError } from '../errors.js';
import { isGfid } from '../protocol/gfid.js';
import type {
  EntryFailure,
  EntryOp,
  FailureInfo,
  MetaFailure,
  MetaOp,
  OpStat,
  VolumeInfo,
} from '../protocol/secondary.js';
import { PyFloat, isPyDict, isPyInt, pyTuple, type PyDict, type PyValue } from './pickle-values.js';

function statDict(stat: OpStat): PyDict {
  return {
    uid: stat.uid,
    gid: stat.gid,
    mode: stat.mode,
    atime: new PyFloat(stat.atime),
    mtime: new PyFloat(stat.mtime),
  };
}

/** Omits absent keys, except `link`, which a stock peer reads without a check. */
export function entryOpDict(op: EntryOp): PyDict {
  const dict: Record<string, PyValue> = { op: op.op, skip_entry: false, gfid: op.gfid, entry: op.entry };
  if (op.entry1 !== undefined) dict['entry1'] = op.entry1;
  if (op.mode !== undefined) dict['mode'] = op.mode;
  if (op.uid !== undefined) dict['uid'] = op.uid;
  if (op.gid !== undefined) dict['gid'] = op.gid;
  if (op.rdev !== undefined) dict['rdev'] = op.rdev;
  if (op.stat !== undefined) {
    dict['stat'] = op.stat === null ? {} : statDict(op.stat);
    dict['link'] = op.link ?? null;
  }
  return dict;
}

export function metaOpDict(op: MetaOp): PyDict {
  return { op: 'META', skip_entry: false, go: op.go, stat: statDict(op.stat) };
}

/** Payload of a keepalive. The peer packs these values as integers and concatenates the tuples. */
export function volumeInfoDict(info: VolumeInfo): PyDict {
  const dict: Record<string, PyValue> = {
    version: pyTuple(info.version),
    uuid: info.uuid,
    retval: info.retval,
    volume_mark: pyTuple(info.volumeMark),
  };
  if (info.timeout !== undefined) dict['timeout'] = Math.trunc(info.timeout);
  return dict;
}

/** Error for an answer that has the wrong shape. */
export function unexpectedAnswer(method: string, state: string): GsyncdError {
  return new GsyncdError(`answer to ${method}: ${state}`, { code: 'peer' });
}

/**
 * Parses the failures of `entry_ops`, each `(entry, errno, info)`. `op` is the caller's object. One operation can fail
 * twice (its creation, then its chown).
 * @throws GsyncdError 'peer' if the answer has the wrong shape, or names an operation that was not sent
 */
export function entryFailures(ops: readonly EntryOp[], answer: PyValue): EntryFailure[] {
  const triples = failureTriples('entry_ops', answer);
  if (triples.length === 0) return [];
  const match = createMatcher('entry_ops', ops, (op) => [op.op, op.gfid, op.entry, op.entry1]);
  return triples.map(([dict, errno, info]) => {
    if (!isPyDict(info)) throw unexpectedAnswer('entry_ops', 'failure without details');
    return { op: match([dict['op'], dict['gfid'], dict['entry'], dict['entry1']]), errno, info: failureInfo(info) };
  });
}

/** Parses the failures of `meta_ops`, each `(entry, errno, call)`. @throws GsyncdError 'peer' as entryFailures() does */
export function metaFailures(ops: readonly MetaOp[], answer: PyValue): MetaFailure[] {
  const triples = failureTriples('meta_ops', answer);
  if (triples.length === 0) return [];
  const match = createMatcher('meta_ops', ops, (op) => [op.go]);
  return triples.map(([dict, errno, call]) => ({
    op: match([dict['go']]),
    errno,
    call: typeof call === 'string' ? call : '',
  }));
}

function failureTriples(method: string, answer: PyValue): [dict: PyDict, errno: number, info: PyValue | undefined][] {
  if (!Array.isArray(answer)) throw unexpectedAnswer(method, 'not a list');
  return (answer as readonly PyValue[]).map((failure) => {
    const [dict, errno, info] = Array.isArray(failure) ? (failure as readonly PyValue[]) : [];
    if (!isPyDict(dict) || !isPyInt(errno)) throw unexpectedAnswer(method, 'malformed failure');
    return [dict, errno, info];
  });
}

/** Finds an operation by its content. Of equal operations, each failure takes the next one, and the last one is used
 *  repeatedly. */
function createMatcher<Op>(
  method: string,
  ops: readonly Op[],
  identity: (op: Op) => readonly (string | undefined)[],
): (key: readonly (PyValue | undefined)[]) => Op {
  const byKey = new Map<string, Op[]>();
  for (const op of ops) {
    const key = JSON.stringify(identity(op));
    const equalOps = byKey.get(key);
    if (equalOps === undefined) byKey.set(key, [op]);
    else equalOps.push(op);
  }
  return (key) => {
    const texts = key.map((part) => (typeof part === 'string' ? part : undefined));
    const equalOps = byKey.get(JSON.stringify(texts));
    const op = equalOps !== undefined && equalOps.length > 1 ? equalOps.shift() : equalOps?.[0];
    if (op === undefined) throw unexpectedAnswer(method, 'failure of an operation that was not sent');
    return op;
  };
}

/** Old peers write `slave_*`, new ones `secondary_*`. The path of the directory is `_entry` or `_name`. */
function failureInfo(info: PyDict): FailureInfo {
  const secondaryField = (name: string): PyValue => info[`secondary_${name}`] ?? info[`slave_${name}`] ?? null;
  const gfid = secondaryField('gfid');
  const entry = secondaryField('entry') ?? secondaryField('name');
  return {
    gfidMismatch: info['gfid_mismatch'] === true,
    nameMismatch: info['name_mismatch'] === true,
    dst: info['dst'] === true,
    secondaryIsDir: secondaryField('isdir') === true,
    secondaryGfid: typeof gfid === 'string' && isGfid(gfid) ? gfid : null,
    secondaryEntry: typeof entry === 'string' ? entry : null,
  };
}
