import { defineConfig } from 'vitest/config'

// The runs of `npm run fuzz`: minutes, not seconds. Short runs of the same properties are part of `npm test`.
export default defineConfig({
  test: {
    include: ['packages/*/test/long/**/*.long.ts', 'apps/*/test/long/**/*.long.ts'],
    setupFiles: ['scripts/test-guard.ts', 'scripts/test-seed.ts'],
    testTimeout: 15 * 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 15_000 } },
    fileParallelism: true,
    maxWorkers: 2,
  },
})
