import { runThrough } from '../lib/step.ts'

await runThrough({ name: 'format', command: 'biome', args: ['check', '--write', '.'] })
