import { createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  createDaemonSetReader,
  createEventRecorder,
  createNodeLabelsReader,
  createNodeTaints,
  createTokenReviewer,
} from '../src/kubernetes.ts'
import { createFakeApiServer, type FakeApiServer } from '../src/testing.ts'

let clock = createFakeClock()
let server: FakeApiServer

beforeEach(() => {
  clock = createFakeClock()
  server = createFakeApiServer({ clock })
})
afterEach(() => server.close())

describe('events', () => {
  const recorder = (instance = 'node-1') =>
    createEventRecorder({
      connection: server.connection(),
      clock,
      random: createSeededRandom(1),
      component: 'kube2iam',
      instance,
    })
  const note = {
    subject: { kind: 'Pod', namespace: 'default', name: 'web-0', uid: 'u1' },
    type: 'Warning',
    reason: 'RoleForbidden',
    action: 'AssumeRole',
    message: 'the namespace does not allow role admin',
  } as const

  test('are written where kubectl describe looks for them', async () => {
    expect(await recorder().record(note)).toBe('written')
    expect(server.list('Event', 'default')).toMatchObject([
      {
        apiVersion: 'v1',
        involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'web-0', uid: 'u1' },
        reason: 'RoleForbidden',
        message: note.message,
        type: 'Warning',
        reportingComponent: 'kube2iam',
        reportingInstance: 'node-1',
        eventTime: '2026-01-01T00:00:00.000000Z',
      },
    ])
  })

  test('about a node go to the namespace default', async () => {
    await recorder().record({ ...note, subject: { kind: 'Node', name: 'node-1' } })
    expect(server.list('Event', 'default')).toHaveLength(1)
  })

  test('that say the same of the same pod are written once in ten minutes', async () => {
    const { record } = recorder()
    expect(await record(note)).toBe('written')
    expect(await record(note)).toBe('repeated')
    expect(await record({ ...note, subject: { ...note.subject, uid: 'u2' } })).toBe('written')
    await clock.advance(600_000)
    expect(await record(note)).toBe('written')
  })

  test('that could not be written are tried again, and the error has a code', async () => {
    const { record } = recorder()
    server.faults.fail({ status: 403, on: 'write', count: 1 })
    await expect(record(note)).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN', retryable: false })
    server.faults.fail({ status: 500, on: 'write', count: 1 })
    await expect(record(note)).rejects.toMatchObject({ code: 'CLUSTER_CALL_FAILED', retryable: true })
    expect(await record(note)).toBe('written')
  })

  test.each([
    ['one byte each', 'x'.repeat(5000), `${'x'.repeat(1021)}…`],
    ['two bytes each', `x${'ä'.repeat(600)}`, `x${'ä'.repeat(510)}…`],
    ['four bytes each', '🗝️'.repeat(200), `${'🗝️'.repeat(145)}🗝…`],
    ['exactly as many as there is room for', 'ä'.repeat(512), 'ä'.repeat(512)],
  ])('keep of a message that is too long what the API server has room for: %s', async (_, message, kept) => {
    await recorder().record({ ...note, message })
    expect(server.list('Event')).toMatchObject([{ message: kept }])
    expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(1024)
  })

  test('are named after what they are about, as the API server takes it', async () => {
    const { record } = recorder()
    for (const uid of ['u1', 'u2']) await record({ ...note, subject: { ...note.subject, uid } })
    const names = server.list('Event').map(({ metadata }) => metadata.name)
    expect(names).toEqual([expect.stringMatching(/^web-0\.[0-9a-f]{19}$/), expect.stringMatching(/^web-0\./)])
    expect(new Set(names).size).toBe(2)
  })

  test.each([
    ['cut at a letter', 'a'.repeat(253)],
    ['cut at a dot', `${'a'.repeat(232)}.${'b'.repeat(20)}`],
    ['cut inside dashes', `${'a'.repeat(225)}${'-'.repeat(20)}b`],
  ])('about what has a long name are taken: %s', async (_, name) => {
    await recorder().record({ ...note, subject: { ...note.subject, name } })
    const [event] = server.list('Event')
    expect(event?.metadata.name.length).toBeLessThanOrEqual(253)
    expect(event).toMatchObject({ involvedObject: { name } })
  })

  test('of a node with a long name are taken', async () => {
    await recorder('n'.repeat(200)).record(note)
    expect(server.list('Event')).toMatchObject([{ reportingInstance: 'n'.repeat(128) }])
  })
})

describe('token reviews', () => {
  const reviewer = () => createTokenReviewer({ connection: server.connection() })
  const extra = {
    'authentication.kubernetes.io/pod-name': ['web-0'],
    'authentication.kubernetes.io/pod-uid': ['u1'],
  }

  test('say whose a token is, and of which pod', async () => {
    server.addToken('t', { username: 'system:serviceaccount:team:builder', audiences: ['kube2iam'], extra })
    expect(await reviewer().review('t', 'kube2iam')).toEqual({
      kind: 'service-account',
      namespace: 'team',
      serviceAccount: 'builder',
      pod: { name: 'web-0', uid: 'u1' },
      audiences: ['kube2iam'],
    })
  })

  test('of a token that is bound to no pod say so', async () => {
    server.addToken('t', { username: 'system:serviceaccount:team:builder', audiences: ['kube2iam'] })
    expect(await reviewer().review('t', 'kube2iam')).toMatchObject({
      kind: 'service-account',
      pod: undefined,
    })
  })

  test.each([
    ['nobody knows', undefined],
    ['is for another audience', { username: 'system:serviceaccount:team:builder', audiences: ['vault'] }],
    ['is a person’s', { username: 'alice', audiences: ['kube2iam'] }],
    [
      'only looks like a service account’s',
      { username: 'x:system:serviceaccount:a:b', audiences: ['kube2iam'] },
    ],
  ])('reject a token that %s', async (_, owner) => {
    if (owner !== undefined) server.addToken('t', owner)
    expect(await reviewer().review('t', 'kube2iam')).toMatchObject({ kind: 'rejected' })
  })

  test('that the API server refuses to make are an error, not a rejection of the token', async () => {
    server.faults.fail({ status: 503, on: 'write', count: 1 })
    await expect(reviewer().review('t', 'kube2iam')).rejects.toMatchObject({ code: 'CLUSTER_CALL_FAILED' })
  })
})

describe('the daemon set', () => {
  const read = () =>
    createDaemonSetReader({ connection: server.connection() }).read('kube-system', 'kube2iam')
  const daemonSet = { kind: 'DaemonSet', metadata: { name: 'kube2iam', namespace: 'kube-system', uid: 'd1' } }

  test('is present, being deleted or absent', async () => {
    expect(await read()).toEqual({ kind: 'absent' })
    server.apply(daemonSet)
    expect(await read()).toEqual({ kind: 'present', uid: 'd1' })
    server.apply({
      ...daemonSet,
      metadata: { ...daemonSet.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
    })
    expect(await read()).toEqual({ kind: 'deleting', uid: 'd1' })
  })

  test('says which nodes its pods ask for', async () => {
    const terms = [{ matchExpressions: [{ key: 'pool', operator: 'In', values: ['apps'] }] }]
    const placed = (pod: object) => server.apply({ ...daemonSet, spec: { template: { spec: pod } } })
    placed({})
    expect(await read()).toMatchObject({ placement: { nodeSelector: {}, requiredTerms: undefined } })
    placed({
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      affinity: {
        nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } },
      },
    })
    expect(await read()).toMatchObject({
      placement: { nodeSelector: { 'kubernetes.io/os': 'linux' }, requiredTerms: terms },
    })
  })

  test('is not taken for absent because it could not be read', async () => {
    server.faults.fail({ status: 403, on: 'get' })
    await expect(read()).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' })
  })
})

describe('the labels of a node', () => {
  const read = () => createNodeLabelsReader({ connection: server.connection() }).read('node-1')

  test('are what the API server says', async () => {
    server.apply({ kind: 'Node', metadata: { name: 'node-1', labels: { pool: 'apps' } } })
    expect(await read()).toEqual({ pool: 'apps' })
  })

  test('are not empty because they could not be read', async () => {
    await expect(read()).rejects.toMatchObject({ code: 'CLUSTER_NOT_FOUND' })
    server.faults.fail({ status: 403, on: 'get' })
    await expect(read()).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN', retryable: false })
  })
})

describe('the taints of a node', () => {
  const KEY = 'kube2iam.io/not-ready'
  const other = { key: 'dedicated', value: 'gpu', effect: 'NoSchedule' } as const
  const startup = { key: KEY, effect: 'NoSchedule' } as const
  const taints = () => createNodeTaints({ connection: server.connection() })
  const node = (...given: object[]) =>
    server.apply({ kind: 'Node', metadata: { name: 'node-1' }, spec: { taints: given } })
  const now = () =>
    (server.get('Node', undefined, 'node-1') as unknown as { spec: { taints: unknown } }).spec.taints

  test('lose the startup taint and keep the others', async () => {
    node(other, startup, { ...startup, effect: 'NoExecute' })
    expect(await taints().remove('node-1', KEY)).toBe('removed')
    expect(now()).toEqual([other])
    expect(await taints().remove('node-1', KEY)).toBe('absent')
    expect(await taints().read('node-1')).toEqual([other])
  })

  test('get a taint once', async () => {
    node(other)
    expect(await taints().add('node-1', startup)).toBe('added')
    expect(await taints().add('node-1', startup)).toBe('present')
    expect(now()).toEqual([other, startup])
  })

  test('of which another writer changes one meanwhile are read and written again', async () => {
    node(other, startup)
    const connection = server.connection()
    let isFirst = true
    const racing = {
      ...connection,
      async request(request: Parameters<typeof connection.request>[0]) {
        if (request.method === 'PATCH' && isFirst) {
          isFirst = false
          node(other, startup, { key: 'new', effect: 'NoSchedule' })
        }
        return connection.request(request)
      },
    }
    expect(await createNodeTaints({ connection: racing }).remove('node-1', KEY)).toBe('removed')
    expect(now()).toEqual([other, { key: 'new', effect: 'NoSchedule' }])
  })

  test('of a node that does not exist are CLUSTER_NOT_FOUND', async () => {
    await expect(taints().remove('nowhere', KEY)).rejects.toMatchObject({ code: 'CLUSTER_NOT_FOUND' })
  })
})
