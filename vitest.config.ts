import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Tests start, signal and kill real processes, change directories and masks: each file gets a process of its own.
    pool: 'forks',
    isolate: true,
    // Most of what they do is wait for processes, brokers and clocks.
    maxWorkers: 3,
    // A test passes or fails the first time, in the order written; a test that asserts nothing and a lonely `.only` fail.
    retry: 0,
    allowOnly: false,
    passWithNoTests: false,
    expect: { requireAssertions: true },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
  },
})
