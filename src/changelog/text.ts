import type { ChangeRecord } from './record.js';

export function formatRecord(record: ChangeRecord): Buffer {
  return Buffer.from(record.gfid);
}

export function parseText(bytes: Uint8Array, file?: string): ChangeRecord[] {
  throw new RangeError(`${String(file)} ${bytes.length}`);
}
