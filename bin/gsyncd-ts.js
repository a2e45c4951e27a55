#!/usr/bin/env node
// Sets the size of the thread pool, which serves every call on a FUSE mount, before anything uses it, and starts
// the built program.
process.env.UV_THREADPOOL_SIZE ??= '16';
const { main } = await import('../dist/cli/main.js');
await main(process.argv);
