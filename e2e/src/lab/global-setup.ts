import { sweepDead, sweepOwn } from './owner.ts'
import { whyNot } from './requirements.ts'

/** Before the first test: what dead runs left is removed. After the last: everything of this run, whatever failed. */
export async function setup(): Promise<() => Promise<void>> {
  const reason = whyNot(['ip'])
  if (reason !== undefined) {
    if (process.env['CI'] === 'true')
      throw new Error(`The real-network tests cannot be skipped in CI: ${reason}`)
    process.stderr.write(`SKIPPED the real-network tests: ${reason}\n`)
    return () => Promise.resolve()
  }
  process.env['KUBE2IAM_E2E_OWNER'] ??= String(process.pid)
  const left = await sweepDead()
  if (left.length > 0) process.stderr.write(`Removed what an earlier run left behind: ${left.join(', ')}\n`)
  return async () => {
    await sweepOwn()
  }
}
