import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const setup = fileURLToPath(new URL('test-seed.ts', import.meta.url))

/** What a property draws first, in a process of its own. */
function draws(seed: string): string {
  const script = `
    await import(${JSON.stringify(setup)})
    const fc = await import('fast-check')
    const drawn = []
    fc.assert(fc.property(fc.integer(), (n) => { drawn.push(n) }), { numRuns: 5 })
    process.stdout.write(drawn.join())`
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    env: { ...process.env, KUBE2IAM_SEED: seed },
    encoding: 'utf8',
  }).stdout
}

test('properties draw the same with the same KUBE2IAM_SEED, and something else with another', () => {
  const [once, again, other] = [draws('7'), draws('7'), draws('8')]
  expect(once.split(',')).toHaveLength(5)
  expect(again).toBe(once)
  expect(other).not.toBe(once)
})
