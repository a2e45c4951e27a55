import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { ChangeRecord } from '../../src/changelog/record.js';
import { formatRecord, formatRecords, parseText } from '../../src/changelog/text.js';
import type { Gfid } from '../../src/protocol/gfid.js';
import { fsDecode } from '../../src/names.js';
import { gfidArb, nameArb, recordArb } from './encode.js';
import { lacksPython } from '../skip.js';
import { fc } from '../seeds.js';

const A = '11111111-2222-3333-4444-555555555555' as Gfid;
const P = '00000000-0000-0000-0000-000000000001' as Gfid;

describe('changelog text', () => {
  test('parseText() returns the formatted records, for names of any bytes', () => {
    const stat = fc.record({
      uid: fc.nat(0xffff_ffff),
      gid: fc.nat(0xffff_ffff),
      mode: fc.nat(0o177777),
      atime: fc.double({ min: -1e9, max: 1e10, noNaN: true }).map((t) => t + 0),
      mtime: fc.integer({ min: 0, max: 2_000_000_000 }),
    });
    const withStat = fc.record({
      type: fc.constant('meta' as const),
      gfid: gfidArb,
      fop: fc.constant('SETATTR'),
      stat,
    });
    const records = fc.array(fc.oneof(recordArb({ encoding: 'ascii', version: '1.2' }), withStat), { maxLength: 8 });
    fc.assert(
      fc.property(records, (list) => {
        const text = formatRecords(list);
        expect(parseText(text)).toEqual(list);
        expect(Buffer.concat(list.map(formatRecord)).equals(text)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test.skipIf(lacksPython('escapes in text changelogs'))(
    'formatRecords() escapes names as the stock daemon does, and parseText() reads its output',
    () => {
      fc.assert(
        fc.property(fc.array(nameArb, { minLength: 20, maxLength: 20 }), (names) => {
          const script = [
            'import sys,os,json',
            'for n in json.load(sys.stdin):',
            '  n=n.replace("%","%25").replace(" ","%20").replace("\\n","%0A")',
            '  sys.stdout.buffer.write(b"E 11111111-2222-3333-4444-555555555555 LINK 00000000-0000-0000-0000-000000000001/"+os.fsencode(n)+b"\\n")',
          ].join('\n');
          const theirs = execFileSync('python3', ['-c', script], {
            input: JSON.stringify(names),
            env: { ...process.env, PYTHONUTF8: '1' },
          });
          const records = names.map((name): ChangeRecord => ({ type: 'entry', gfid: A, fop: 'LINK', parent: P, name }));
          expect(formatRecords(records).equals(theirs)).toBe(true);
          expect(parseText(theirs)).toEqual(records);
        }),
        { numRuns: 2 },
      );
    },
  );

  test.each([
    'a%20b',
    '%2520',
    '%0A',
    '%%',
    'x\r',
    'x\t',
    'x\u00a0',
    'x\u2028y',
    '\x1c',
    'a b\nc',
    '%25%',
    '\udcff%\udc80',
  ])('keeps the name %j', (name) => {
    const record: ChangeRecord = { type: 'entry', gfid: A, fop: 'UNLINK', parent: P, name, deletedPath: `d/${name}` };
    expect(parseText(formatRecord(record))).toEqual([record]);
  });

  test.each(['ascii-v1.1', 'ascii-v1.2', 'ascii-v1.2-del-path'])(
    'parsing and formatting reproduces the stock file %s.txt byte for byte',
    (name) => {
      const bytes = readFileSync(new URL(`../fixtures/changelogs/${name}.txt`, import.meta.url));
      expect(formatRecords(parseText(bytes)).equals(bytes)).toBe(true);
    },
  );

  test('parseText() reads the attributes of an xsync record, with fractional times', () => {
    expect(parseText(Buffer.from(`M ${A} SETATTR 12 34 16877 1690000000.25 1690000001.0\n`))).toEqual([
      {
        type: 'meta',
        gfid: A,
        fop: 'SETATTR',
        stat: { uid: 12, gid: 34, mode: 16877, atime: 1690000000.25, mtime: 1690000001 },
      },
    ]);
  });

  test.each([
    [`D ${A}`, 'a newline at the end'],
    [`D ${A} x\n`, 'nothing after the gfid of a data record'],
    [`D ${A.toUpperCase().replace('1', 'A')}\n`, 'a type, a space and a gfid'],
    ['\n', 'a type, a space and a gfid'],
    [`X ${A} y\n`, 'a record of type D, M or E'],
    [`M ${A}\n`, 'an operation after the gfid'],
    [`M ${A} SETATTR 1 2 3\n`, 'uid, gid, mode, atime and mtime'],
    [`M ${A} SETATTR 1 2 3 x 5\n`, 'uid, gid, mode, atime and mtime'],
    [`E ${A} SETATTR ${P}/a\n`, 'an entry operation'],
    [`E ${A} LINK ${P}/\n`, '<parent gfid>/<name>'],
    [`E ${A} LINK ${P}/a ${P}/b\n`, '<parent gfid>/<name>'],
    [`E ${A} RENAME ${P}/a\n`, '<parent gfid>/<name> twice'],
    [`E ${A} CREATE 1 2 ${P}/a\n`, 'mode, uid, gid and <parent gfid>/<name>'],
    [`E ${A} UNLINK ${P}/a b c\n`, '<parent gfid>/<name> and at most a path'],
  ])('refuses %j', (line, expected) => {
    const good = formatRecord({
      type: 'entry',
      gfid: A,
      fop: 'LINK',
      parent: P,
      name: fsDecode(Buffer.of(0xff, 0xe4)),
    });
    expect(() => parseText(Buffer.concat([good, Buffer.from(line)]), '/w/CHANGELOG.7')).toThrow(
      `parse changelog: /w/CHANGELOG.7: line at byte ${good.length}: expected ${expected}`,
    );
  });
});
