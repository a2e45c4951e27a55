import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeChangelog } from '../../src/changelog/decode.js';
import type { ChangeRecord } from '../../src/changelog/record.js';
import { formatRecords } from '../../src/changelog/text.js';
import { GsyncdError, isGsyncdError } from '../../src/errors.js';
import { encodeChangelog, encodeRecord, header, recordArb, type ChangelogFormat } from './encode.js';
import { fc } from '../seeds.js';

// Changelogs of a GlusterFS 10.3 brick with every operation, and the text that its libgfchangelog wrote for them. The v1.1
// file is the v1.2 file without the bytes that v1.2 added, decoded by the same library.
const fixture = (name: string): Buffer => readFileSync(new URL(`../fixtures/changelogs/${name}`, import.meta.url));

const FORMATS: ChangelogFormat[] = [
  { encoding: 'ascii', version: '1.1' },
  { encoding: 'ascii', version: '1.2' },
  { encoding: 'binary', version: '1.1' },
  { encoding: 'binary', version: '1.2' },
];

function failure(bytes: Buffer): GsyncdError | null {
  try {
    decodeChangelog(bytes, '/b/CHANGELOG.1');
    return null;
  } catch (error) {
    if (isGsyncdError(error, 'changelog')) return error;
    throw error;
  }
}

describe('decodeChangelog()', () => {
  test.each(['ascii-v1.1', 'ascii-v1.2', 'ascii-v1.2-del-path'])(
    'decodes %s to the text that libgfchangelog writes',
    (name) => {
      const text = formatRecords(decodeChangelog(fixture(`${name}.changelog`), name));
      expect(text.toString('latin1')).toBe(fixture(`${name}.txt`).toString('latin1'));
    },
  );

  test('returns the same records from a binary and an ascii changelog of the same operations', () => {
    // One script of operations ran twice, under different top directories.
    const normal = (name: string, top: string): ChangeRecord[] => {
      const seen = new Map<string, string>();
      return decodeChangelog(fixture(name), name).map((record) => {
        const text = JSON.stringify(record).replaceAll(`"${top}`, '"TOP');
        return JSON.parse(
          text.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (gfid) => {
            if (!seen.has(gfid)) seen.set(gfid, `gfid ${seen.size}`);
            return seen.get(gfid)!;
          }),
        ) as ChangeRecord;
      });
    };
    const binary = normal('binary-v1.2-del-path.changelog', 'three');
    expect(binary).toEqual(normal('ascii-v1.2-del-path.changelog', 'two'));
    expect(binary.length).toBeGreaterThan(40);
  });

  test.each(FORMATS)('returns the records that were encoded: $encoding $version', (format) => {
    fc.assert(
      fc.property(fc.array(recordArb(format), { maxLength: 8 }), (records) => {
        expect(decodeChangelog(encodeChangelog(records, format), 'j')).toEqual(records);
      }),
      { numRuns: 150 },
    );
  });

  test.each(FORMATS)('fails for a changelog cut inside a record, at any byte: $encoding $version', (format) => {
    fc.assert(
      fc.property(fc.array(recordArb(format), { minLength: 1, maxLength: 4 }), (records) => {
        const whole = encodeChangelog(records, format);
        const ends = new Map([[header(format).length, 0]]);
        let at = header(format).length;
        for (const [i, record] of records.entries()) ends.set((at += encodeRecord(record, format).length), i + 1);
        for (let cut = 0; cut < whole.length; cut += 1) {
          const count = ends.get(cut);
          const part = whole.subarray(0, cut);
          if (count === undefined) expect(failure(part), `cut at ${cut}`).toBeInstanceOf(GsyncdError);
          else expect(decodeChangelog(part, 'j')).toEqual(records.slice(0, count));
        }
      }),
      { numRuns: 25 },
    );
  });

  test('returns records or a changelog error for any changed byte', () => {
    const whole = fixture('ascii-v1.2-del-path.changelog');
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
        const damaged = Buffer.from(whole);
        damaged[at] = byte;
        failure(damaged);
      }),
      { numRuns: 500 },
    );
  });

  test('errors name the file, the byte and the expected content', () => {
    const format: ChangelogFormat = { encoding: 'ascii', version: '1.2' };
    const start = header(format).length;
    const gfid = '11111111-2222-3333-4444-555555555555';
    const message = (body: string): string | undefined =>
      failure(Buffer.concat([header(format), Buffer.from(body)]))?.message;
    expect(message('X')).toBe(`decode changelog: /b/CHANGELOG.1: byte ${start}: expected a record of type D, M or E`);
    expect(message(`D${gfid}\0\0`)).toBe(
      `decode changelog: /b/CHANGELOG.1: byte ${start + 38}: expected a record of type D, M or E`,
    );
    expect(message('D1111')).toContain(`byte ${start + 1}: expected a gfid of 36 bytes`);
    expect(message(`D${gfid.replace('1', 'G')}\0`)).toContain(`byte ${start + 1}: expected a gfid`);
    expect(message(`M${gfid}\x00999\x00`)).toContain(`byte ${start + 38}: expected a known operation number`);
    expect(message(`E${gfid}\x0038\0`)).toContain('expected an entry operation, not SETATTR');
    expect(message(`E${gfid}\x009\0${gfid}/a/b\0`)).toContain('expected a name without a slash');
    expect(message(`E${gfid}\x004\0x\x000\x000\0${gfid}/a\0`)).toContain(
      `byte ${start + 40}: expected a mode in decimal digits`,
    );
  });

  test.each([
    ['', 'the header of a changelog'],
    ['GlusterFS Changelog | version: v1.2 | encoding : 2', 'the header of a changelog'],
    ['GlusterFS Changelog | version: v2.0 | encoding : 2\n', 'version v1.1 or v1.2, not v2.0'],
    ['GlusterFS Changelog | version: v1.3 | encoding : 2\n', 'version v1.1 or v1.2, not v1.3'],
    ['GlusterFS Changelog | version: v1.1 | encoding : 3\n', 'encoding 1 or 2, not 3'],
  ])('refuses the header %j', (text, expected) => {
    expect(failure(Buffer.from(text))?.message).toContain(`byte 0: expected ${expected}`);
  });

  test('returns no records for a changelog with only a header', () => {
    expect(decodeChangelog(header({ encoding: 'ascii', version: '1.2' }), 'j')).toEqual([]);
  });
});
