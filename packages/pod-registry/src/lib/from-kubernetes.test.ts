import { parseBaseArn, resolveRole } from '@kube2iam-ts/core'
import { describe, expect, test } from 'vitest'
import { namespaceReducer, podReducer, serviceAccountReducer } from './from-kubernetes.ts'

const whole = {
  metadata: {
    name: 'web-0',
    namespace: 'team',
    uid: 'u1',
    creationTimestamp: '2026-01-02T03:04:05Z',
    deletionTimestamp: '2026-01-02T03:05:05Z',
    annotations: { role: 'app', 'kubectl.kubernetes.io/last-applied-configuration': '{…}'.repeat(100) },
    labels: { a: 'b' },
  },
  spec: {
    nodeName: 'n1',
    serviceAccountName: 'builder',
    containers: [{ env: [{ name: 'SECRET', value: 'x' }] }],
  },
  status: { phase: 'Running', podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }, { ip: '2001:DB8:0:0::1' }] },
}

test('a pod is reduced to what decides and explains, and to nothing else', () => {
  expect(podReducer(['role'])(whole)).toEqual({
    uid: 'u1',
    namespace: 'team',
    name: 'web-0',
    serviceAccount: 'builder',
    node: 'n1',
    addresses: ['10.0.0.1', '2001:db8::1'],
    hostNetwork: false,
    phase: 'Running',
    createdAt: new Date('2026-01-02T03:04:05Z'),
    deletedAt: new Date('2026-01-02T03:05:05Z'),
    annotations: { role: 'app' },
  })
})

test('a pod that was just created has neither address nor node', () => {
  const pod = podReducer([])({ metadata: { name: 'a', namespace: 'b', uid: 'c' }, spec: {}, status: {} })
  expect(pod).toMatchObject({
    addresses: [],
    node: '',
    phase: 'Unknown',
    serviceAccount: 'default',
    deletedAt: undefined,
  })
})

test('since when the sandbox has its network is kept while it has one', () => {
  const since = (...conditions: object[]): number | undefined =>
    podReducer([])({ ...whole, status: { ...whole.status, conditions } })?.sandboxSeconds
  const ready = {
    type: 'PodReadyToStartContainers',
    status: 'True',
    lastTransitionTime: '2026-01-02T03:04:07Z',
  }
  expect(since({ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-02T03:04:09Z' }, ready)).toBe(
    Date.parse('2026-01-02T03:04:07Z') / 1000,
  )
  for (const none of [
    { ...ready, status: 'False' },
    { ...ready, lastTransitionTime: null },
    { ...ready, lastTransitionTime: 'soon' },
  ]) {
    expect(since(none)).toBeUndefined()
  }
  expect(since()).toBeUndefined()
})

test('podIP alone is an address too, and is not counted twice', () => {
  const reduce = podReducer([])
  const { metadata } = whole
  expect(reduce({ metadata, status: { podIP: '10.0.0.1' } })?.addresses).toEqual(['10.0.0.1'])
  expect(
    reduce({ metadata, status: { podIP: '::ffff:10.0.0.1', podIPs: [{ ip: '10.0.0.1' }] } })?.addresses,
  ).toEqual(['10.0.0.1'])
})

test('what is no address is none', () => {
  const pod = podReducer([])({
    metadata: whole.metadata,
    status: { podIPs: [{ ip: '' }, {}, { ip: 'nonsense' }] },
  })
  expect(pod?.addresses).toEqual([])
})

test('annotations that only look like properties of every object are not taken for annotations', () => {
  const pod = podReducer(['toString', 'role'])({ metadata: { ...whole.metadata, annotations: { role: 7 } } })
  expect(pod?.annotations).toEqual({})
})

test('an object without a name is of no interest', () => {
  expect(podReducer([])({ metadata: {} })).toBe(undefined)
  expect(namespaceReducer([])({})).toBe(undefined)
  expect(serviceAccountReducer([])({ metadata: { name: 'x' } })).toBe(undefined)
})

test('namespaces and service accounts keep the named annotations', () => {
  const metadata = { name: 'team', namespace: 'ns', annotations: { allowed: '[]', other: 'x' } }
  expect(namespaceReducer(['allowed'])({ metadata })).toEqual({
    name: 'team',
    annotations: { allowed: '[]' },
  })
  expect(serviceAccountReducer(['allowed'])({ metadata })).toEqual({
    namespace: 'ns',
    name: 'team',
    annotations: { allowed: '[]' },
  })
})

describe('a value that is longer than what is read', () => {
  const annotated = (length: number) => ({
    metadata: { ...whole.metadata, annotations: { role: 'x'.repeat(length), other: 'kept' } },
  })

  test.each([
    ['a pod', podReducer(['role', 'other']), 4096],
    ['a service account', serviceAccountReducer(['role', 'other']), 4096],
    ['a namespace', namespaceReducer(['role', 'other']), 65_536],
  ])('of %s is not kept, and what takes its place is no shorter value', (_, reduce, longest) => {
    expect(reduce(annotated(longest))?.annotations).toEqual({ role: 'x'.repeat(longest), other: 'kept' })
    const tooLong = reduce(annotated(longest + 1))?.annotations
    expect(tooLong).toEqual({ role: `** longer than ${longest} characters **`, other: 'kept' })
    expect(reduce(annotated(250_000))?.annotations).toEqual(tooLong)
  })

  test('takes its place in a form that no reader of annotations can use', () => {
    const { role = '' } = podReducer(['role'])(annotated(250_000))?.annotations ?? {}
    expect(() => JSON.parse(role)).toThrow(SyntaxError)
    expect(() => new RegExp(role)).toThrow(SyntaxError)
    expect(() => resolveRole(role, parseBaseArn('arn:aws:iam::123456789012:role/'))).toThrow('neither')
  })
})
