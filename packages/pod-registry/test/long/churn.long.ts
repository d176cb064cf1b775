import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

// Twelve hours of a busy node in about a minute, in a process of its own: only there the heap is the registry's alone.
test('twelve hours of churn leave the heap as it was', async () => {
  const file = fileURLToPath(new URL('../churn.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', file, '12'], {
    timeout: 600_000,
  })
  process.stdout.write(stdout)
  const { before, after, pods, writes, relists } = JSON.parse(stdout) as Record<string, number>
  expect(writes).toBeGreaterThan(20_000)
  expect(relists).toBeGreaterThan(10)
  expect(pods).toBe(110)
  // A pod is some 600 bytes: even a thousand leaked ones of the tens of thousands that came and went would show.
  expect(Math.abs((after ?? 0) - (before ?? 0))).toBeLessThan(600_000)
})
