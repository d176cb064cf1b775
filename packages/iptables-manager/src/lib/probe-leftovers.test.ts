import { expect, it } from 'vitest'
import type { CommandRunner } from './command-runner.ts'
import { probeNamespace, sweepProbes } from './probe-leftovers.ts'

const NOW = 1_790_000_000_000
const { signal } = new AbortController()

const sweep = async (
  names: readonly string[],
  exitCode = 0,
  directories = ['/var/run/netns', '/run/netns'],
) => {
  const deleted: string[] = []
  const runner: Pick<CommandRunner, 'run'> = {
    async run(file, args) {
      deleted.push([file, ...args].join(' '))
      return { exitCode, stdout: '', stderr: '' }
    },
  }
  const files = {
    readText: async () => undefined,
    list: async (path: string) => (directories.includes(path) ? names : []),
  }
  await sweepProbes({
    runner: {
      ...runner,
      lines() {
        throw new Error('nothing is to be followed')
      },
    },
    files,
    now: NOW,
    signal,
  })
  return deleted
}

it('removes what a probe left that began minutes ago, and no namespace of anybody else', async () => {
  const left = probeNamespace(NOW - 600_000, '00beef')
  const names = [left, 'cni-5a1b', 'k2i-probe', 'k2i-probe-mine', `${left}-x`]
  expect(await sweep(names)).toEqual([`ip netns delete ${left}`])
})

it.each(['/var/run/netns', '/run/netns'])('finds it where only %s is there', async (directory) => {
  const left = probeNamespace(NOW - 600_000, '00beef')
  expect(await sweep([left], 0, [directory])).toEqual([`ip netns delete ${left}`])
})

it('keeps the probe that another agent is making', async () => {
  expect(await sweep([probeNamespace(NOW - 5_000, '00beef'), probeNamespace(NOW, 'c0ffee')])).toEqual([])
})

it('removes one from before the clock was set back', async () => {
  expect(await sweep([probeNamespace(NOW + 3_600_000, '00beef')])).toHaveLength(1)
})

it('goes on where one cannot be removed', async () => {
  const names = ['00beef', 'c0ffee'].map((id) => probeNamespace(NOW - 600_000, id))
  expect(await sweep(names, 1)).toHaveLength(2)
})
