import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const dockerfile = read('deploy/container/Dockerfile')
const flagsIn = (text: string | undefined) =>
  [...(text ?? '').matchAll(/--[a-z][a-z=0-9-]*/g)].map(([flag]) => flag)
const image = flagsIn(/^ENTRYPOINT (.*)$/m.exec(dockerfile)?.[1])

describe('V8 ties its code cache to its flags, and what is tested and measured is what the image runs', () => {
  test('the image starts Node with flags', () => {
    expect(image.length).toBeGreaterThan(0)
  })

  test.each([
    ['the cache of the image', dockerfile, /^ +node (--.*) \/opt\/kube2iam\/main\.cjs \\$/m],
    [
      'the simulator’s agents',
      read('apps/simulator/src/world/agent-process.ts'),
      /^const IMAGE_FLAGS = \[([^\]]*)\]/m,
    ],
    ['the agents of the real network', read('e2e/src/agent.ts'), /^export const NODE_FLAGS = \[([^\]]*)\]/m],
    ['what the agent’s README says', read('apps/agent/README.md'), /The image starts it with `([^`]*)`/],
  ])('%s: the same flags', (_who, text, where) => {
    expect(flagsIn(where.exec(text)?.[1])).toEqual(image)
  })
})
