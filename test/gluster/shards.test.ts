// Sharded volumes with each engine, behind either secondary: two of the four pairs here, the others in test/nightly.
import { describe } from 'vitest';
import { shardScenarios } from './lab/shard-scenarios.js';

describe.each([['rsync', 'own'], ['tarssh', 'stock']] as const)('sharded volumes: %s, %s secondary', shardScenarios);
