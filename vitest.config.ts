import { defineConfig } from 'vitest/config';

const onRealVolumes = { testTimeout: 600_000, hookTimeout: 180_000, fileParallelism: true, maxWorkers: 2 };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/gluster/**', 'test/nightly/**', 'test/foreign/**'],
          testTimeout: 30_000,
        },
      },
      { test: { name: 'gluster', include: ['test/gluster/**/*.test.ts'], ...onRealVolumes } },
      { test: { name: 'foreign', include: ['test/foreign/**/*.test.ts'], ...onRealVolumes, maxWorkers: 1 } },
      { test: { name: 'nightly', include: ['test/nightly/**/*.test.ts'], ...onRealVolumes } },
    ],
  },
});
