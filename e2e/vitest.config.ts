import { existsSync, readdirSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

// Real network namespaces: one file at a time, never part of `npm test`. The packages' own tests that need root are
// a second project, so that one command runs everything that a machine with root can prove.
const root = new URL('../', import.meta.url).pathname
const rootTests = readdirSync(`${root}packages`)
  .filter((name) => existsSync(`${root}packages/${name}/test/root`))
  .map((name) => `packages/${name}/test/root/**/*.root.ts`)

const common = {
  setupFiles: [`${root}scripts/test-guard.ts`],
  environment: 'node' as const,
  fileParallelism: false,
  testTimeout: 60_000,
  hookTimeout: 60_000,
  expect: { poll: { timeout: 15_000 } },
}

export default defineConfig({
  test: {
    fileParallelism: false,
    globalSetup: [`${root}e2e/src/lab/global-setup.ts`],
    projects: [
      { test: { ...common, name: 'e2e', root: `${root}e2e`, include: ['test/**/*.e2e.ts'] } },
      ...(rootTests.length === 0 ? [] : [{ test: { ...common, name: 'root', root, include: rootTests } }]),
    ],
  },
})
