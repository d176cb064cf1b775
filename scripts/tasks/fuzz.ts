import { runThrough } from '../lib/step.ts'

// The long property, bypass and churn runs. A seed that fails is printed; KUBE2IAM_SEED=… repeats it; the gate takes the seed from the commit.
process.env['KUBE2IAM_LONG'] = '1'
await runThrough({
  name: 'fuzz',
  command: 'vitest',
  args: ['run', '--config', 'vitest.long.config.ts', ...process.argv.slice(2)],
})
