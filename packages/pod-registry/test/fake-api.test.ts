import { createFakeClock } from '@kube2iam-ts/core/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ApiRequest } from '../src/kubernetes.ts'
import {
  createFakeApiServer,
  type FakeApiServer,
  type KubernetesObject,
  type Manifest,
} from '../src/testing.ts'

// What the fake says is held to the documentation of the Kubernetes API ("API concepts", "API conventions").

interface Answer {
  readonly kind: string
  readonly code?: number
  readonly reason?: string
  readonly message?: string
  readonly metadata: {
    readonly resourceVersion: string
    readonly continue?: string
    readonly remainingItemCount?: number
  }
  readonly items: KubernetesObject[]
}

let clock = createFakeClock()
let server: FakeApiServer

beforeEach(() => {
  clock = createFakeClock()
  server = createFakeApiServer({ clock })
})
afterEach(() => server.close())

async function call(path: string, options: Partial<ApiRequest> & { type?: string; send?: unknown } = {}) {
  const { type = 'application/json', send, ...rest } = options
  const response = await server.connection().request({
    method: 'GET',
    path,
    ...(send !== undefined && { body: JSON.stringify(send) }),
    ...rest,
    headers: { 'content-type': type, ...rest.headers },
  })
  let text = ''
  for await (const chunk of response.body) text += Buffer.from(chunk).toString()
  return {
    status: response.status,
    headers: response.headers,
    body: JSON.parse(text) as Answer & KubernetesObject,
  }
}

const pod = (name: string, extra: Partial<Manifest> = {}): Manifest => ({
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: { nodeName: 'node-1' },
  ...extra,
})

const namesOf = ({ body }: { body: Answer }): string[] => body.items.map(({ metadata }) => metadata.name)

/** Follows a watch; each line in short, `ADDED a`. */
async function watch(query: string, accept = 'application/json') {
  const stop = new AbortController()
  const lines: string[] = []
  const raw: { type: string; object: KubernetesObject & { code?: number } }[] = []
  const response = await server.connection().request({
    method: 'GET',
    path: `/api/v1/pods?watch=true&${query}`,
    headers: { accept },
    signal: stop.signal,
  })
  const ended = (async () => {
    for await (const chunk of response.body) {
      for (const line of Buffer.from(chunk).toString().trim().split('\n')) {
        const event = JSON.parse(line) as (typeof raw)[number]
        raw.push(event)
        lines.push(`${event.type} ${event.object.metadata?.name ?? event.object.code ?? ''}`.trim())
      }
    }
    lines.push('end')
  })().catch(() => lines.push('cut'))
  await clock.advance(0)
  return { status: response.status, lines, raw, stop, ended }
}

describe('lists', () => {
  beforeEach(() => {
    for (const name of ['c', 'a', 'b', 'e', 'd'])
      server.apply(pod(name, { metadata: { name, labels: { app: name, tier: 'web' } } }))
    server.apply(
      pod('other', {
        spec: { nodeName: 'node-2', hostNetwork: true },
        status: { phase: 'Failed', podIP: '10.0.0.9' },
      }),
    )
  })

  test('are ordered by name and carry the version of their moment', async () => {
    const answer = await call('/api/v1/pods')
    expect(namesOf(answer)).toEqual(['a', 'b', 'c', 'd', 'e', 'other'])
    expect(answer.body.metadata.resourceVersion).toBe(server.resourceVersion)
    expect(answer.body.kind).toBe('PodList')
  })

  test('in pages show one moment, whatever is written meanwhile', async () => {
    const first = await call('/api/v1/pods?limit=4')
    expect(first.body.metadata.remainingItemCount).toBe(2)
    server.delete('Pod', 'default', 'e')
    server.apply(pod('f'))
    const second = await call(`/api/v1/pods?limit=4&continue=${first.body.metadata.continue ?? ''}`)
    expect(namesOf(second)).toEqual(['e', 'other'])
    expect(second.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion)
    expect(second.body.metadata.continue).toBe(undefined)
  })

  test('whose page is older than the history are refused with 410 Expired', async () => {
    const first = await call('/api/v1/pods?limit=4')
    server.apply(pod('f'))
    server.faults.compact()
    const second = await call(`/api/v1/pods?limit=4&continue=${first.body.metadata.continue ?? ''}`)
    expect([second.status, second.body.reason]).toEqual([410, 'Expired'])
  })

  test.each([
    ['spec.nodeName=node-2', ['other']],
    ['spec.nodeName!=node-2', ['a', 'b', 'c', 'd', 'e']],
    ['status.podIP=10.0.0.9', ['other']],
    ['status.phase=Failed,spec.hostNetwork=true', ['other']],
    ['metadata.name=a', ['a']],
    ['metadata.namespace=kube-system', []],
  ])('select by field: %s', async (selector, expected) => {
    expect(namesOf(await call(`/api/v1/pods?fieldSelector=${encodeURIComponent(selector)}`))).toEqual(
      expected,
    )
  })

  test.each([
    ['app=a', ['a']],
    ['app==a,tier=web', ['a']],
    ['app!=a,tier', ['b', 'c', 'd', 'e']],
    ['app in (a, b)', ['a', 'b']],
    ['app notin (a,b,c)', ['d', 'e', 'other']],
    ['!app', ['other']],
  ])('select by label: %s', async (selector, expected) => {
    expect(namesOf(await call(`/api/v1/pods?labelSelector=${encodeURIComponent(selector)}`))).toEqual(
      expected,
    )
  })

  test('refuse a field that the kind does not have with 400', async () => {
    const answer = await call('/api/v1/namespaces?fieldSelector=spec.nodeName%3Da')
    expect([answer.status, answer.body.message]).toEqual([400, 'field label not supported: spec.nodeName'])
  })

  test('of one namespace show that namespace', async () => {
    server.apply(pod('sys', { metadata: { name: 'sys', namespace: 'kube-system' } }))
    expect(namesOf(await call('/api/v1/namespaces/kube-system/pods'))).toEqual(['sys'])
  })

  test('show metadata only, where that is asked for', async () => {
    const accept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json'
    const answer = await call('/api/v1/pods?limit=1', { headers: { accept } })
    expect(answer.body.kind).toBe('PartialObjectMetadataList')
    expect(Object.keys(answer.body.items[0] ?? {})).toEqual(['kind', 'apiVersion', 'metadata'])
  })

  test.each([
    [
      'one object’s metadata',
      'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json',
    ],
    ['nothing that is served', 'application/yaml'],
  ])('are 406 for who asks for %s, whatever else would do', async (_, accept) => {
    const answer = await call('/api/v1/pods', { headers: { accept } })
    expect([answer.status, answer.body.reason]).toEqual([406, 'NotAcceptable'])
  })

  test('are whole for who asks for what is not known first', async () => {
    const accept = 'application/json;as=Nonsense;g=meta.k8s.io;v=v1,application/json'
    expect((await call('/api/v1/pods', { headers: { accept } })).body.kind).toBe('PodList')
  })

  test('of metadata are no answer to a get', async () => {
    const accept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json'
    expect((await call('/api/v1/namespaces/default/pods/a', { headers: { accept } })).status).toBe(406)
  })

  test('from the future are 504 with the cause that client-go looks for', async () => {
    const answer = await call('/api/v1/pods?resourceVersion=99999999')
    expect(answer).toMatchObject({
      status: 504,
      body: { details: { causes: [{ reason: 'ResourceVersionTooLarge' }] } },
    })
  })
})

describe('watches', () => {
  test('begin after the version that is asked for', async () => {
    server.apply(pod('a'))
    const version = server.resourceVersion
    server.apply(pod('b'))
    const { lines, stop, ended } = await watch(`resourceVersion=${version}`)
    server.delete('Pod', 'default', 'a')
    await clock.advance(0)
    stop.abort()
    await ended
    expect(lines).toEqual(['ADDED b', 'DELETED a', 'cut'])
  })

  test('from a version of the future say nothing until then', async () => {
    const { status, lines, stop, ended } = await watch(
      `resourceVersion=${Number(server.resourceVersion) + 1}&allowWatchBookmarks=true`,
    )
    await clock.advance(120_000)
    server.apply(pod('a'))
    server.apply(pod('b'))
    await clock.advance(0)
    stop.abort()
    await ended
    expect([status, lines]).toEqual([200, ['ADDED b', 'cut']])
  })

  test('without a version begin with what there is', async () => {
    server.apply(pod('a'))
    const { lines, stop } = await watch('')
    expect(lines).toEqual(['ADDED a'])
    stop.abort()
  })

  test('with a selector see objects come into it and leave it', async () => {
    const { lines, raw, stop } = await watch(
      `resourceVersion=${server.resourceVersion}&fieldSelector=spec.nodeName%3Dnode-1`,
    )
    server.apply(pod('a', { spec: {} }))
    server.apply(pod('a', { spec: { nodeName: 'node-1' } }))
    server.apply(pod('a', { spec: { nodeName: 'node-1' }, status: { phase: 'Running' } }))
    server.apply(pod('a', { spec: { nodeName: 'node-2' } }))
    server.delete('Pod', 'default', 'a')
    await clock.advance(0)
    expect(lines).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a'])
    const versions = raw.map(({ object }) => Number(object.metadata.resourceVersion))
    expect(versions).toEqual(versions.toSorted((a, b) => a - b))
    stop.abort()
  })

  test('get bookmarks where they ask for them, and one before the time-out ends them', async () => {
    const { lines, raw, ended } = await watch(
      `resourceVersion=${server.resourceVersion}&allowWatchBookmarks=true&timeoutSeconds=130`,
    )
    server.apply({ kind: 'Node', metadata: { name: 'n' } })
    await clock.advance(130_000)
    await ended
    expect(lines).toEqual(['BOOKMARK', 'BOOKMARK', 'BOOKMARK', 'end'])
    expect(raw[0]?.object).toMatchObject({
      kind: 'Pod',
      metadata: { resourceVersion: server.resourceVersion },
    })
  })

  test('get none where they do not', async () => {
    const { lines, ended } = await watch(`resourceVersion=${server.resourceVersion}&timeoutSeconds=130`)
    await clock.advance(130_000)
    await ended
    expect(lines).toEqual(['end'])
  })

  test('show metadata only, where that is asked for', async () => {
    const accept = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json'
    const { raw, stop } = await watch(
      `resourceVersion=${server.resourceVersion}&allowWatchBookmarks=true`,
      accept,
    )
    server.apply(pod('a'))
    await clock.advance(60_000)
    expect(raw).toMatchObject([
      { type: 'ADDED', object: { kind: 'PartialObjectMetadata', metadata: { name: 'a' } } },
      { type: 'BOOKMARK', object: { kind: 'PartialObjectMetadata' } },
    ])
    expect(raw[0]?.object).not.toHaveProperty('spec')
    stop.abort()
  })

  test.each(['an event', 'a bookmark'])('that ask for a list’s metadata end empty at %s', async (what) => {
    const accept = ['PartialObjectMetadataList', 'PartialObjectMetadata']
      .map((kind) => `application/json;as=${kind};g=meta.k8s.io;v=v1`)
      .join(',')
    const query = `resourceVersion=${server.resourceVersion}&allowWatchBookmarks=true`
    const { status, lines, ended } = await watch(query, accept)
    expect([status, lines]).toEqual([200, []])
    if (what === 'an event') server.apply(pod('a'))
    await clock.advance(what === 'an event' ? 0 : 60_000)
    await ended
    expect(lines).toEqual(['end'])
  })

  test('from a version that is forgotten are refused inside the stream, or over HTTP where that is switched', async () => {
    const version = server.resourceVersion
    server.apply(pod('a'))
    server.faults.compact()
    const inStream = await watch(`resourceVersion=${version}`)
    await inStream.ended
    expect([inStream.status, inStream.lines]).toEqual([200, ['ERROR 410', 'end']])
    server.faults.goneForm = 'http'
    expect((await watch(`resourceVersion=${version}`)).status).toBe(410)
  })

  test('that are left by their reader leave nothing behind', async () => {
    const { stop, ended } = await watch('allowWatchBookmarks=true')
    expect(server.watches).toBe(1)
    stop.abort()
    await ended
    expect([server.watches, clock.pending]).toEqual([0, 0])
  })
})

describe('writes', () => {
  const path = '/api/v1/namespaces/default/pods'

  test('create objects with uid, version and time', async () => {
    const { status, body } = await call(path, { method: 'POST', send: pod('a') })
    expect(status).toBe(201)
    expect(body).toMatchObject({
      apiVersion: 'v1',
      metadata: {
        name: 'a',
        creationTimestamp: '2026-01-01T00:00:00Z',
        resourceVersion: server.resourceVersion,
      },
      status: { phase: 'Pending' },
    })
    expect(body.metadata['uid' as never]).toMatch(/^[0-9a-f-]{36}$/)
  })

  test.each([
    ['that exist already', path, pod('taken'), 409, 'AlreadyExists'],
    [
      'in a namespace that does not exist',
      '/api/v1/namespaces/nowhere/pods',
      { kind: 'Pod', metadata: { name: 'a' } },
      404,
      'NotFound',
    ],
    ['for another namespace', '/api/v1/namespaces/kube-system/pods', pod('a'), 400, 'BadRequest'],
    ['with a name that is none', path, pod('Not A Name'), 422, 'Invalid'],
  ])('refuse objects %s', async (_, where, send, status, reason) => {
    server.apply(pod('taken'))
    const answer = await call(where, { method: 'POST', send })
    expect([answer.status, answer.body.reason]).toEqual([status, reason])
  })

  test('under an old version are refused with 409', async () => {
    const before = server.apply(pod('a'))
    server.apply(pod('a', { status: { phase: 'Running' } }))
    const answer = await call(`${path}/a`, { method: 'PUT', send: before })
    expect([answer.status, answer.body.reason]).toEqual([409, 'Conflict'])
  })

  test.each([
    ['application/merge-patch+json', { metadata: { annotations: { role: 'b', gone: null } } }],
    ['application/strategic-merge-patch+json', { metadata: { annotations: { role: 'b', gone: null } } }],
    [
      'application/json-patch+json',
      [
        { op: 'test', path: '/metadata/annotations/role', value: 'a' },
        { op: 'replace', path: '/metadata/annotations/role', value: 'b' },
        { op: 'remove', path: '/metadata/annotations/gone' },
      ],
    ],
  ])('patch: %s', async (type, send) => {
    server.apply(pod('a', { metadata: { name: 'a', annotations: { role: 'a', gone: 'x', kept: 'y' } } }))
    const { status } = await call(`${path}/a`, { method: 'PATCH', type, send })
    expect(status).toBe(200)
    expect(server.get('Pod', 'default', 'a')?.metadata.annotations).toEqual({ role: 'b', kept: 'y' })
  })

  test('of a JSON patch whose test fails change nothing', async () => {
    server.apply(pod('a'))
    const version = server.resourceVersion
    const send = [
      { op: 'test', path: '/spec/nodeName', value: 'other' },
      { op: 'remove', path: '/spec' },
    ]
    const answer = await call(`${path}/a`, { method: 'PATCH', type: 'application/json-patch+json', send })
    expect([answer.status, server.resourceVersion]).toEqual([422, version])
  })

  test('of a strategic merge patch merge containers by name', async () => {
    server.apply(
      pod('a', {
        spec: {
          containers: [
            { name: 'x', image: '1' },
            { name: 'y', image: '1' },
          ],
        },
      }),
    )
    const send = {
      spec: {
        containers: [
          { name: 'y', image: '2' },
          { $patch: 'delete', name: 'x' },
        ],
      },
    }
    await call(`${path}/a`, { method: 'PATCH', type: 'application/strategic-merge-patch+json', send })
    expect(server.get('Pod', 'default', 'a')?.['spec']).toMatchObject({
      containers: [{ name: 'y', image: '2' }],
    })
  })

  test('of status change the status only', async () => {
    server.apply(pod('a'))
    const send = { spec: { nodeName: 'evil' }, status: { podIP: '10.0.0.1' } }
    await call(`${path}/a/status`, { method: 'PATCH', type: 'application/merge-patch+json', send })
    expect(server.get('Pod', 'default', 'a')).toMatchObject({
      spec: { nodeName: 'node-1' },
      status: { podIP: '10.0.0.1' },
    })
  })

  test('of a status with podIPs set podIP to the first of them', async () => {
    server.apply(pod('a'))
    const send = { status: { podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] } }
    await call(`${path}/a/status`, { method: 'PATCH', type: 'application/merge-patch+json', send })
    expect(server.get('Pod', 'default', 'a')?.['status']).toMatchObject({ podIP: '10.0.0.1' })
  })

  test('of a new uid under an old name are a deletion and a creation', async () => {
    server.apply(pod('a'))
    const seen: string[] = []
    server.subscribe(({ type }) => seen.push(type))
    server.apply(pod('a', { metadata: { name: 'a', uid: 'new' } }))
    expect(seen).toEqual(['DELETED', 'ADDED'])
  })

  describe('of a namespace’s deletion', () => {
    const team = '/api/v1/namespaces/team'
    const inTeam = (name: string) => pod(name, { metadata: { name, namespace: 'team' } })

    test('end it first, and then take what is in it', async () => {
      server.apply({ kind: 'Namespace', metadata: { name: 'team' } })
      server.apply(inTeam('a'))
      const { body } = await call(team, { method: 'DELETE' })
      expect(body['status']).toEqual({ phase: 'Terminating' })
      expect((await call(`${team}/pods/a`)).status).toBe(200)
      expect(await call(`${team}/pods`, { method: 'POST', send: inTeam('b') })).toMatchObject({
        status: 403,
        body: { message: expect.stringContaining('because it is being terminated') },
      })
      await clock.advance(2000)
      expect(server.list('Pod', 'team')).toEqual([])
      expect((await call(team)).status).toBe(404)
    })

    test('wait for pods that take their time', async () => {
      server = createFakeApiServer({ clock, gracefulDeletion: true })
      server.apply({ kind: 'Namespace', metadata: { name: 'team' } })
      server.apply(inTeam('a'))
      await call(team, { method: 'DELETE' })
      await clock.advance(10_000)
      expect(server.get('Pod', 'team', 'a')?.metadata.deletionTimestamp).toBe('2026-01-01T00:00:32Z')
      expect((await call(team)).status).toBe(200)
      server.delete('Pod', 'team', 'a')
      await clock.advance(2000)
      expect((await call(team)).status).toBe(404)
      expect(clock.pending).toBe(0)
    })
  })

  test('of a graceful deletion mark the pod and leave it, until it is removed', async () => {
    server = createFakeApiServer({ clock, gracefulDeletion: true })
    server.apply(pod('a'))
    await call(`${path}/a?gracePeriodSeconds=10`, { method: 'DELETE' })
    expect(server.get('Pod', 'default', 'a')?.metadata.deletionTimestamp).toBe('2026-01-01T00:00:10Z')
    await call(`${path}/a`, { method: 'DELETE', send: { gracePeriodSeconds: 0 } })
    expect(server.get('Pod', 'default', 'a')).toBe(undefined)
  })
})

describe('Events of events.k8s.io', () => {
  const path = '/apis/events.k8s.io/v1/namespaces/default/events'
  const event = {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: 'web-0.1', namespace: 'default' },
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'kube2iam',
    reportingInstance: 'node-1',
    action: 'AssumeRole',
    reason: 'RoleForbidden',
    type: 'Warning',
    note: 'no',
    regarding: { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'web-0' },
  }
  const create = (change: object, where = path) =>
    call(where, { method: 'POST', send: { ...event, ...change } })

  test('are taken as client-go sends them, by name or by prefix', async () => {
    expect((await create({})).status).toBe(201)
    expect((await create({ metadata: { generateName: 'web-0-' } })).status).toBe(201)
    const node = { regarding: { kind: 'Node', name: 'node-1' }, metadata: { name: 'node-1.1' } }
    expect((await create(node)).status).toBe(201)
  })

  test.each([
    ['a prefix that is no name', { metadata: { generateName: 'web-0.' } }, 'metadata.generateName'],
    ['a name that is none', { metadata: { name: 'web:0' } }, 'metadata.name'],
    ['a note of more than 1024 bytes', { note: 'ä'.repeat(513) }, 'message'],
    ['an instance of more than 128 bytes', { reportingInstance: 'n'.repeat(129) }, 'reportingInstance'],
    ['no instance', { reportingInstance: undefined }, 'reportingInstance'],
    ['no controller', { reportingController: '' }, 'reportingController'],
    ['a controller that is no qualified name', { reportingController: 'a/b/c' }, 'reportingController'],
    ['no action', { action: undefined }, 'action'],
    ['too long an action', { action: 'a'.repeat(129) }, 'action'],
    ['no reason', { reason: undefined }, 'reason'],
    ['too long a reason', { reason: 'a'.repeat(129) }, 'reason'],
    ['no time', { eventTime: undefined }, 'eventTime'],
    ['another type', { type: 'Error' }, 'type'],
    ['a series of one', { series: { count: 1, lastObservedTime: event.eventTime } }, 'series.count'],
    ['a series without its time', { series: { count: 2 } }, 'series.lastObservedTime'],
    ['a count of the older form', { deprecatedCount: 2 }, 'count'],
    ['a source of the older form', { deprecatedSource: { component: 'kubelet' } }, 'source'],
    ['a time of the older form', { deprecatedLastTimestamp: '2026-01-01T00:00:00Z' }, 'lastTimestamp'],
  ])('are refused with %s', async (_, change, field) => {
    const answer = await create(change)
    expect([answer.status, answer.body.reason]).toEqual([422, 'Invalid'])
    expect(answer.body.message).toContain(` ${field}: `)
  })

  test('about nothing in a namespace are refused outside of default and kube-system', async () => {
    server.apply({ kind: 'Namespace', metadata: { name: 'team' } })
    const change = { regarding: { kind: 'Node', name: 'n' }, metadata: { name: 'n.1', namespace: 'team' } }
    const answer = await create(change, '/apis/events.k8s.io/v1/namespaces/team/events')
    expect(answer.body.message).toMatch(/involvedObject.namespace.* does not match event.namespace/)
  })

  test('for another namespace than that of the request cannot be created there', async () => {
    const metadata = { name: 'web-0.1', namespace: 'kube-system' }
    expect((await create({ metadata })).status).toBe(400)
  })

  test('that are deleted are answered with a Status', async () => {
    await create({})
    const { status, body } = await call(`${path}/web-0.1`, { method: 'DELETE' })
    expect([status, body]).toMatchObject([200, { kind: 'Status', status: 'Success' }])
  })

  test('whose time has not six digits cannot be read', async () => {
    expect((await create({ eventTime: '2026-01-01T00:00:00.000Z' })).status).toBe(400)
  })

  test('of the older group are held to the older rules', async () => {
    const older = {
      kind: 'Event',
      metadata: { name: 'web:0' },
      involvedObject: { kind: 'Pod', namespace: 'default', name: 'web-0' },
      count: 3,
    }
    const where = '/api/v1/namespaces/default/events'
    expect((await call(where, { method: 'POST', send: older })).status).toBe(201)
    const elsewhere = { ...older, involvedObject: { ...older.involvedObject, namespace: 'team' } }
    expect((await call(where, { method: 'POST', send: elsewhere })).status).toBe(422)
  })

  test('become a series, and nothing else of them changes', async () => {
    await create({})
    const type = 'application/strategic-merge-patch+json'
    const patch = (send: object) => call(`${path}/web-0.1`, { method: 'PATCH', type, send })
    const series = { count: 2, lastObservedTime: '2026-01-01T00:01:00.000000Z' }
    expect(await patch({ series })).toMatchObject({ status: 200, body: { series, note: 'no' } })
    expect(await patch({ series: { ...series, count: 3 } })).toMatchObject({ body: { series: { count: 3 } } })
    expect((await patch({ series: { count: 1 } })).body.message).toContain('series.count')
    expect((await patch({ note: 'yes' })).body.message).toContain(
      'message: Invalid value: "yes": field is immutable',
    )
    expect((await patch({ metadata: { labels: { a: 'b' } } })).status).toBe(200)
  })
})

test('without the token every path but the health checks is 401', async () => {
  server = createFakeApiServer({ clock, token: 'secret' })
  const headers = { authorization: 'Bearer wrong' }
  expect((await call('/api/v1/pods', { headers })).status).toBe(401)
  expect(
    (await call('/apis/authentication.k8s.io/v1/tokenreviews', { method: 'POST', headers, send: {} })).status,
  ).toBe(401)
  expect((await call('/api/v1/pods')).status).toBe(200)
})

test('a path that is not served is 404', async () => {
  expect((await call('/apis/batch/v1/jobs')).status).toBe(404)
  expect((await call('/api/v1/namespaces/default/pods/a/log')).status).toBe(404)
})
