// Sharded volumes with each engine, behind either secondary: two of the four pairs here, the others in test/gluster.
import { describe } from 'vitest';
import { shardScenarios } from '../gluster/lab/shard-scenarios.js';

describe.each([['rsync', 'stock'], ['tarssh', 'own']] as const)('sharded volumes: %s, %s secondary', shardScenarios);
