// Each option of the table has an effect or says that it has none.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { OPTION_NAMES, optionSpec, type OptionName } from '../../src/config/options.js';

const SOURCE = join(import.meta.dirname, '..', '..', 'src');
const FILES = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts') && path !== join('config', 'options.ts'));
const CODE = FILES.map((path) => readFileSync(join(SOURCE, path), 'utf8')).join('\n');

/** Read by its name, or part of the value of another option that is. Setting it as an argument or writing it is not
 *  reading it. */
function isRead(name: OptionName): boolean {
  if (new RegExp(`(?:get|getLive|text)\\('${name}'|\\['${name}'|, '${name}'\\] as const`).test(CODE)) return true;
  return OPTION_NAMES.some((other) => other !== name && optionSpec(other).value.includes(`\${${name.replaceAll('-', '_')}}`) && isRead(other));
}

test.each(OPTION_NAMES)('%s', (name) => {
  expect(isRead(name) ? 'is read' : 'is accepted only').toBe(optionSpec(name).help.startsWith('Accepted only') ? 'is accepted only' : 'is read');
});
