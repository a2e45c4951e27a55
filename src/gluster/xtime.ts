// Marks: xtime, stime, entry_stime and volume marks are pairs of seconds and microseconds.

/** [seconds, microseconds] since the epoch. */
export type Xtime = readonly [seconds: number, micros: number];

/** Older than every mark (the reference's URXTIME): nothing is synced yet. */
export const MINUS_INFINITY: Xtime = [-1, 0];
export const ZERO_XTIME: Xtime = [0, 0];

/** Negative, zero or positive as `a` is before, equal to or after `b`. */
export function compareXtime(a: Xtime, b: Xtime): number {
  return a[0] - b[0] || a[1] - b[1];
}

export function maxXtime(a: Xtime, b: Xtime): Xtime {
  return compareXtime(a, b) >= 0 ? a : b;
}

export function minXtime(a: Xtime, b: Xtime): Xtime {
  return compareXtime(a, b) <= 0 ? a : b;
}

export function xtimeNow(nowMs: number = Date.now()): Xtime {
  return [Math.floor(nowMs / 1000), (nowMs % 1000) * 1000];
}

/** xattr value: two big-endian u32. @throws RangeError when `bytes` is not 8 long */
export function unpackXtime(bytes: Uint8Array): Xtime {
  if (bytes.length !== 8) throw new RangeError(`xtime: ${bytes.length} bytes instead of 8`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  return [view.getUint32(0), view.getUint32(4)];
}

export function packXtime(mark: Xtime): Buffer {
  const out = Buffer.alloc(8);
  out.writeUInt32BE(mark[0], 0);
  out.writeUInt32BE(mark[1], 4);
  return out;
}
