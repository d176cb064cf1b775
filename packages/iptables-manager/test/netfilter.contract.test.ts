import { createFakeNetfilter } from '../src/testing.ts'
import { netfilterContract } from './netfilter.contract.ts'

netfilterContract('the fake netfilter', async () => {
  const { runner, files } = createFakeNetfilter()
  return { runner, files, close: async () => {} }
})
