import { expect, test } from 'vitest';
import { lastLines } from '../../src/process/tail.js';

test.each([
  ['', ''],
  ['Permission denied (publickey).\r\n', 'Permission denied (publickey).'],
  [
    'Received disconnect from 10.0.0.1: Too many authentication failures\r\nDisconnected from 10.0.0.1\r\n',
    'Received disconnect from 10.0.0.1: Too many authentication failures; Disconnected from 10.0.0.1',
  ],
  [
    'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n    raise OSError\nOSError: no\n\n',
    'Traceback (most recent call last):; OSError: no',
  ],
  ['1\n2\n3\n4\n', '2; 3; 4'],
])('lastLines() shortens %j for an error message', (text, line) => {
  expect(lastLines(text)).toBe(line);
});
