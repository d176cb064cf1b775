import { describe, it } from 'vitest'
import { netfilterContract } from '../netfilter.contract.ts'
import { createNamespace, inside, whyNoNamespaces } from './netns.ts'

const reason = whyNoNamespaces()

if (reason === undefined) {
  netfilterContract('the real netfilter', async () => {
    const { name, remove } = createNamespace('nf')
    return { ...inside(name), close: async () => remove() }
  })
} else {
  describe.skip('the real netfilter', () => {
    it(reason, () => {})
  })
}
