import { expect, test } from 'vitest'
import { renderConfiguration, renderParity } from './documents.ts'

const docs = (name: string): string => new URL(`../../../../../docs/${name}`, import.meta.url).pathname

test('docs/configuration.md is what the table says', async () => {
  await expect(renderConfiguration()).toMatchFileSnapshot(docs('configuration.md'))
})

test('docs/parity.md is what the table says', async () => {
  await expect(renderParity()).toMatchFileSnapshot(docs('parity.md'))
})
