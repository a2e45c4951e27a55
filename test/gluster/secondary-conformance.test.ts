// The same calls to the stock secondary and to this project's, on two fresh volumes, by the stock daemon's own client:
// the answers have to be the same, and so has what is in the volumes afterwards.
import { expect, test } from 'vitest';
import { bothSecondaries } from './lab/both-secondaries.js';
import { REPO } from './lab/machine.js';
import { useLab } from './lab/use-lab.js';

const lab = useLab({ session: 'none' });

test('both secondaries give the same answers and leave the same tree', async () => {
  const { daemon, stock: stockCommand, own: ownCommand } = await bothSecondaries(lab());
  const ask = async (volume: string, command: readonly string[]): Promise<unknown> => {
    const results = `/srv/${volume}.json`;
    await lab().exec(['python3', `${REPO}/test/fixtures/secondary/calls.py`, daemon, results, ...command], { onFailure: 'return' });
    return JSON.parse(await lab().read(results));
  };
  const tree = (at: string): Promise<string> => lab().sh(String.raw`find . -path ./.trashcan -prune -o -printf '%P %y %m %U %G %T@ %l\n' | sed '1s/.*//' | grep -v '^made by path' | sort`, at);
  const stock = await ask('gv0', stockCommand);
  const own = await ask('sv0', ownCommand);
  expect(own).toEqual(stock);
  expect((await tree(lab().secondary)).replaceAll(/ \d{10}\.\d+ /g, ' now ')).toBe((await tree(lab().primary)).replaceAll(/ \d{10}\.\d+ /g, ' now '));
  await lab().assertNoMountsLeft();
});
