import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

// The source of truth of the test projects: every package and app is one, named after its folder.
const members = ['packages', 'apps'].flatMap((group) =>
  readdirSync(new URL(group, import.meta.url), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => ({ name: entry.name, root: `${group}/${entry.name}` })),
)

export default defineConfig({
  test: {
    // Left to itself vitest keeps a processor for its own: on two, as most CI machines have, the other would idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [...members, { name: 'scripts', root: 'scripts' }].map(({ name, root }) => ({
      test: {
        name,
        root,
        include: ['src/**/*.test.ts', 'test/**/*.test.ts', ...(name === 'scripts' ? ['*.test.ts'] : [])],
        setupFiles: ['test-guard', 'test-seed'].map(
          (name) => new URL(`scripts/${name}.ts`, import.meta.url).pathname,
        ),
        environment: 'node',
        // Tests move time and never sleep; these bounds only end what hangs, also on a machine that is busy.
        testTimeout: 30_000,
        hookTimeout: 60_000,
        expect: { poll: { timeout: 15_000 } },
        restoreMocks: true,
      },
    })),
  },
})
