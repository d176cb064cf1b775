import { spawn } from 'node:child_process'
import { sweepDead, sweepOwn } from '../../e2e/src/lab/owner.ts'
import { whyNot } from '../../e2e/src/lab/requirements.ts'
import { root, runThrough } from '../lib/step.ts'

// The real network, real clients and the container, as root in network namespaces of their own. This process owns
// what the tests make: whatever happens to the test runner, its last act is to remove all of it.
const reason = whyNot(['ip'])
if (reason !== undefined) {
  process.stderr.write(`The real-network tests did not run: ${reason}\n`)
  process.exit(process.env['CI'] === 'true' ? 1 : 0)
}

await runThrough({
  name: 'build',
  command: 'turbo',
  args: ['run', 'build', '--output-logs=errors-only', '--filter=@kube2iam-ts/agent'],
})

process.env['KUBE2IAM_E2E_OWNER'] = String(process.pid)
const left = await sweepDead()
if (left.length > 0) process.stdout.write(`Removed what an earlier run left behind: ${left.join(', ')}\n`)
try {
  process.exitCode = await tests(process.argv.slice(2))
} finally {
  const swept = await sweepOwn()
  if (swept.length > 0) process.stdout.write(`Removed what the tests did not remove: ${swept.join(', ')}\n`)
}

function tests(args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn('vitest', ['run', '--config', 'e2e/vitest.config.ts', ...args], {
      cwd: root,
      stdio: 'inherit',
    })
    // The child gets the terminal's SIGINT itself; a SIGTERM reaches only this process.
    process.on('SIGINT', () => undefined)
    process.on('SIGTERM', () => child.kill('SIGTERM'))
    child.on('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 1))
    child.on('error', (error) => {
      process.stderr.write(`vitest: ${error.message}\n`)
      resolve(1)
    })
  })
}
