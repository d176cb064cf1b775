import { globSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { root, runThrough } from '../lib/step.ts'

// The demonstration: the embedded world, the real built agent as a process of its own, a dozen pods that ask.
// `npm start -- --keep` leaves it running.
const bundle = join(root, 'apps/agent/dist/main.cjs')
const built = statSync(bundle, { throwIfNoEntry: false })?.mtimeMs ?? 0
const newest = Math.max(
  ...globSync(
    ['{packages,apps/agent}/**/src/**/*.ts', 'apps/agent/{package.json,tsup.config.ts}', 'pnpm-lock.yaml'],
    {
      cwd: root,
      exclude: (name) => name === 'node_modules' || name === 'dist',
    },
  ).map((file) => statSync(join(root, file)).mtimeMs),
)
if (built < newest) {
  // The bundle is made from the packages' sources, so nothing else has to be built first.
  await runThrough({
    name: 'build the agent',
    command: 'tsup',
    args: ['--silent'],
    cwd: join(root, 'apps/agent'),
  })
}
await runThrough({
  name: 'demonstration',
  command: 'node',
  args: ['apps/simulator/src/main.ts', 'demo', ...process.argv.slice(2)],
})
