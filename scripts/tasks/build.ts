import { runThrough } from '../lib/step.ts'

// Every package and app, in the order of their dependencies; what did not change comes from turbo's cache.
await runThrough({
  name: 'build',
  command: 'turbo',
  args: ['run', 'build', '--output-logs=errors-only', ...process.argv.slice(2)],
})
