// The code reads each option of the table, or the option's help begins with "Accepted only".

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { OPTION_NAMES, optionSpec, type OptionName } from '../../src/config/options.js';

const SOURCE = join(import.meta.dirname, '..', '..', 'src');
const FILES = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter(
  (path) => path.endsWith('.ts') && path !== join('config', 'options.ts'),
);
const CODE = FILES.map((path) => readFileSync(join(SOURCE, path), 'utf8')).join('\n');

/** True when the code reads the option by name, or reads another option whose default contains it. Writing the option or
 *  passing it as an argument does not make this true. */
function isRead(name: OptionName): boolean {
  if (new RegExp(`(?:get|getLive|text)\\('${name}'|\\['${name}'|, '${name}'\\] as const`).test(CODE)) return true;
  return OPTION_NAMES.some(
    (other) => other !== name && optionSpec(other).value.includes(`\${${name.replaceAll('-', '_')}}`) && isRead(other),
  );
}

test.each(OPTION_NAMES)('%s is read by the code, or its help says "Accepted only"', (name) => {
  expect(isRead(name) ? 'is read' : 'is accepted only').toBe(
    optionSpec(name).help.startsWith('Accepted only') ? 'is accepted only' : 'is read',
  );
});
