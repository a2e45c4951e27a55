// vitest's configuration for `npm run bench`: one file, its prints straight to the terminal.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/gluster/bench.ts'],
    testTimeout: 7_200_000,
    disableConsoleIntercept: true,
    reporters: [['default', { summary: false }]],
  },
});
