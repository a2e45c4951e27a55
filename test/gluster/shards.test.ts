// Sharded volumes. With the other engine, and behind a stock secondary: test/nightly.
import { describe } from 'vitest';
import { shardScenarios } from './lab/shard-scenarios.js';

describe('sharded volumes: rsync, own secondary', () => shardScenarios('rsync', 'own'));
