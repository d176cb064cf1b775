import { createFakeClock } from '@kube2iam-ts/core/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFakeApiServer, type FakeApiServer } from '../src/testing.ts'

let server: FakeApiServer

beforeEach(() => {
  server = createFakeApiServer({ clock: createFakeClock() })
})
afterEach(() => server.close())

const containers = (...names: string[]) => ({ containers: names.map((name) => ({ name, image: 'x' })) })
const annotated = (annotations: Record<string, string> | undefined, spec: object = containers('main')) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'a', namespace: 'default', ...(annotations && { annotations }) },
  spec,
})
const now = () => server.get('Pod', 'default', 'a')

/** As `kubectl apply --server-side` does; the message where it is refused. */
async function apply(manager: string, body: object, force = false) {
  const query = new URLSearchParams({ fieldManager: manager, force: `${force}` })
  const response = await server.connection().request({
    method: 'PATCH',
    path: `/api/v1/namespaces/default/pods/a?${query.toString()}`,
    headers: { 'content-type': 'application/apply-patch+yaml' },
    body: JSON.stringify(body),
  })
  let text = ''
  for await (const chunk of response.body) text += Buffer.from(chunk).toString()
  return { status: response.status, message: (JSON.parse(text) as { message?: string }).message }
}

test('creates what is not there, and changes what is', async () => {
  expect((await apply('one', annotated({ role: 'a' }))).status).toBe(201)
  expect((await apply('one', annotated({ role: 'b' }))).status).toBe(200)
  expect(now()).toMatchObject({ metadata: { annotations: { role: 'b' } }, spec: containers('main') })
})

test('takes away what its manager no longer says, and nothing that others wrote', async () => {
  await apply('one', annotated({ role: 'a', other: 'x' }, containers('main', 'side')))
  await apply('two', annotated({ other: 'x' }, {}))
  await server.connection().request({
    method: 'PATCH',
    path: '/api/v1/namespaces/default/pods/a',
    headers: { 'content-type': 'application/merge-patch+json' },
    body: JSON.stringify({ metadata: { annotations: { written: 'y' } } }),
  })
  await apply('one', annotated(undefined))
  expect(now()?.metadata.annotations).toEqual({ other: 'x', written: 'y' })
  expect(now()?.['spec']).toMatchObject(containers('main'))
})

test('refuses what another manager wants otherwise, unless it is forced', async () => {
  await apply('one', annotated({ role: 'a' }))
  expect(await apply('two', annotated({ role: 'b' }))).toEqual({
    status: 409,
    message: 'Apply failed with 1 conflict: conflict with "one": .metadata.annotations.role',
  })
  expect((await apply('two', annotated({ role: 'b' }), true)).status).toBe(200)
  expect(now()?.metadata.annotations).toEqual({ role: 'b' })
  expect((await apply('one', annotated({ role: 'a' }))).status).toBe(409)
  await apply('two', annotated(undefined))
  expect(now()?.metadata.annotations ?? {}).toEqual({})
})

test('forgets who wanted what with the object', async () => {
  await apply('one', annotated({ role: 'a' }))
  server.delete('Pod', 'default', 'a')
  expect((await apply('two', annotated({ role: 'b' }))).status).toBe(201)
})

test('wants to know who applies', async () => {
  expect(await apply('', annotated({}))).toMatchObject({ status: 422 })
})
