import { createFakeNetfilter } from '@kube2iam-ts/iptables-manager/testing'
import { expect, test } from 'vitest'
import { migrateRequests } from './request-migration.ts'

const OWN = '/proc/sys/net/ipv4/tcp_migrate_req'
const MOUNTED = `/host${OWN}`

const nodeWith = (files: Record<string, string>, readOnlyFiles: string[] = []) =>
  createFakeNetfilter({ files, readOnlyFiles }).files

test('a node that hands connections over is left as it is', async () => {
  const files = nodeWith({ [OWN]: '1\n' }, [OWN])
  expect(await migrateRequests(files)).toMatchObject({ kind: 'requests-migrate', by: 'the node' })
})

test('one that does not is told to', async () => {
  const files = nodeWith({ [OWN]: '0\n' })
  expect(await migrateRequests(files)).toMatchObject({ kind: 'requests-migrate', by: 'this agent' })
  expect(await files.readText(OWN)).toBe('1\n')
})

test('in a container it is told by the file that was mounted for it', async () => {
  const { readText, writeText } = nodeWith({ [OWN]: '0\n', [MOUNTED]: '0\n' }, [OWN])
  let value: string | undefined
  // The two are one setting of the kernel.
  const files = {
    readText: async (path: string) => value ?? readText(path),
    async writeText(path: string, text: string) {
      const refused = await writeText(path, text)
      if (refused === undefined) value = text
      return refused
    },
  }
  expect(await migrateRequests(files)).toMatchObject({ kind: 'requests-migrate', by: 'this agent' })
})

test('a file of another network namespace does not count', async () => {
  const files = nodeWith({ [OWN]: '0\n', [MOUNTED]: '0\n' }, [OWN])
  expect(await migrateRequests(files)).toEqual({
    kind: 'requests-do-not-migrate',
    why: expect.stringContaining(`(${OWN}: EROFS, ${MOUNTED}: without effect)`),
  })
})

test('where nothing may be written it says so, and where the kernel cannot', async () => {
  expect(await migrateRequests(nodeWith({ [OWN]: '0\n' }, [OWN]))).toEqual({
    kind: 'requests-do-not-migrate',
    why: expect.stringContaining(`(${OWN}: EROFS, ${MOUNTED}: ENOENT)`),
  })
  expect(await migrateRequests(nodeWith({}))).toEqual({
    kind: 'requests-do-not-migrate',
    why: expect.stringContaining('5.14'),
  })
})
