// Sharded volumes with each engine, behind either secondary: three of the four pairs here, the fourth in test/gluster;
// and on distributed and replicated bricks.
import { describe } from 'vitest';
import { shardScenarios } from '../gluster/lab/shard-scenarios.js';

describe.each([
  ['rsync', 'stock'],
  ['tarssh', 'stock'],
  ['tarssh', 'own'],
] as const)('sharded volumes: %s, %s secondary', shardScenarios);

describe('sharded volumes on two bricks', () => shardScenarios('rsync', 'own', { bricks: 2 }));
describe('sharded volumes of two pairs', () =>
  shardScenarios('rsync', 'stock', { bricks: 4, layout: 'pairs', metaVolume: 'shared' }));
