import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { createFakeNetfilter } from './fake-netfilter.ts'
import { createNodeFiles } from './node-files.ts'

const folder = mkdtempSync(join(tmpdir(), 'node-files-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
writeFileSync(join(folder, 'one'), '0\n')

describe.each([
  ['the real ones', createNodeFiles(folder)],
  ['the fake', createFakeNetfilter({ files: { '/one': '0\n' } }).files],
])('%s', (_name, files) => {
  it('write what is there, and it is read back', async () => {
    expect(await files.readText('/one')).toBe('0\n')
    expect(await files.writeText('/one', '1\n')).toBeUndefined()
    expect(await files.readText('/one')).toBe('1\n')
  })

  it('make nothing that is not there', async () => {
    expect(await files.writeText('/two', '1\n')).toBe('ENOENT')
    expect(await files.list('/')).not.toContain('two')
    expect(await files.readText('/two')).toBeUndefined()
  })
})
