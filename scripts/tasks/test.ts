import { runThrough } from '../lib/step.ts'

// The quick suite: no root, no network but loopback. `npm test -- --project core` and other vitest arguments pass through.
await runThrough({ name: 'test', command: 'vitest', args: ['run', ...process.argv.slice(2)] })
