import { CodedError } from '@kube2iam-ts/core'
import { collectReports, createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import type { CaptureStatus } from '@kube2iam-ts/iptables-manager'
import type { DaemonSetState } from '@kube2iam-ts/pod-registry/kubernetes'
import { expect, test } from 'vitest'
import type { CapturePort } from './agent-deps.ts'
import type { AgentEvent } from './agent-events.ts'
import { createInterception, type InterceptionOptions } from './interception.ts'

const denied = new CodedError('COMMAND_DENIED', 'ip may not be executed')
type Answer = DaemonSetState | 'no-answer'
type Labels = Readonly<Record<string, string>>

/** A DaemonSet for the nodes of one pool. */
const ofPool = (pool: string): DaemonSetState => ({
  kind: 'present',
  uid: 'd',
  placement: { nodeSelector: { pool }, requiredTerms: undefined },
})
const forbidden = new CodedError('CLUSTER_FORBIDDEN', 'nodes may not be read')

/** An interception whose rules and whose API server do as they are told, and which remembers what was asked of them. */
function setUp(
  options: Partial<InterceptionOptions> = {},
  daemonSet: Answer = { kind: 'present', uid: 'd' },
) {
  const clock = createFakeClock()
  const stopping = new AbortController()
  const { events, report } = collectReports<AgentEvent>()
  const asked: string[] = []
  const faults: { start: number; probe?: Error } = { start: 0 }
  const capture: CapturePort = {
    async start() {
      asked.push('start')
      if (faults.start-- > 0) throw denied
    },
    async probe() {
      asked.push('probe')
      if (faults.probe !== undefined) throw faults.probe
      return { outcome: 'impossible', reason: '' }
    },
    async remove() {
      asked.push('remove')
      return []
    },
    async stop() {
      asked.push('stop')
    },
    setPods() {},
    status: () => ({ ...NEVER_LOOKED, state: world.state, ...world.status }),
  }
  const world: {
    daemonSet: Answer
    labels: Labels | Error | undefined
    state: CaptureStatus['state']
    status?: Partial<CaptureStatus>
  } = {
    daemonSet,
    labels: { pool: 'apps' },
    state: 'in-place',
  }
  const interception = createInterception({
    capture,
    registry: { pods: () => [].values(), onChange: () => () => {} },
    clock,
    random: createSeededRandom(1),
    report,
    probeWith: undefined,
    cleanup: 'auto',
    daemonset: 'kube-system/kube2iam',
    daemonSets: {
      async read() {
        if (world.daemonSet === 'no-answer')
          throw new CodedError('CLUSTER_UNREACHABLE', 'no answer', { retryable: true })
        return world.daemonSet
      },
    },
    node: 'node-1',
    nodeLabels: {
      async read() {
        if (world.labels instanceof Error) throw world.labels
        return world.labels
      },
    },
    ...options,
  })
  const start = async (): Promise<void> => {
    interception.start(stopping.signal).catch(() => {})
    await clock.advance(0)
  }
  const stop = async (): Promise<void> => {
    await interception.stop()
    stopping.abort()
    await clock.advance(0)
    expect(clock.pending).toBe(0)
  }
  const told = (kind: AgentEvent['kind']) => events.filter((event) => event.kind === kind)
  /** What `/readyz` says of the rules, given what is known of them. */
  const rules = (status: Partial<CaptureStatus>) => {
    world.status = status
    return interception.parts.find(({ name }) => name === 'interception')?.state()
  }
  return { clock, asked, faults, world, start, stop, told, rules }
}

const NEVER_LOOKED: CaptureStatus = {
  state: 'unknown',
  families: { 4: 'unprotected', 6: 'unprotected' },
  familyReasons: {},
  routing: { families: { 4: 'missing', 6: 'missing' } },
  sources: [],
  sourcesEvidence: [],
  interception: { kind: 'unseen' },
  counters: { redirected: 0, dropped: 0 },
  repairs: 0,
  monitored: false,
}

test('the rules go with the DaemonSet that this agent belonged to', async () => {
  const it = setUp()
  await it.start()
  it.world.daemonSet = { kind: 'absent' }
  await it.stop()
  expect(it.asked).toEqual(['start', 'remove'])
})

test('they stay where --daemonset has never named one: a name that is wrong looks like an uninstall', async () => {
  const it = setUp({}, { kind: 'absent' })
  await it.start()
  expect(it.told('unwise')).toMatchObject([
    { setting: '--daemonset', why: expect.stringContaining('kube-system/kube2iam') },
  ])
  await it.stop()
  expect(it.asked).toEqual(['start', 'stop'])
  expect(it.told('interception-stays')).toMatchObject([{ why: expect.stringContaining('cannot be told') }])
})

test('they stay where nobody could say whether there was one, and it is asked until somebody can', async () => {
  const early = setUp({}, 'no-answer')
  await early.start()
  early.world.daemonSet = { kind: 'absent' }
  await early.stop()
  expect(early.asked).toEqual(['start', 'stop'])

  const late = setUp({}, 'no-answer')
  await late.start()
  await late.clock.advance(10_000)
  late.world.daemonSet = { kind: 'present', uid: 'd' }
  await late.clock.advance(300_000)
  late.world.daemonSet = { kind: 'absent' }
  await late.stop()
  expect(late.asked).toEqual(['start', 'remove'])
})

test('one that is being deleted is evidence enough', async () => {
  const it = setUp({}, 'no-answer')
  await it.start()
  it.world.daemonSet = { kind: 'deleting', uid: 'd' }
  await it.stop()
  expect(it.asked).toEqual(['start', 'remove'])
})

test('the rules go where the DaemonSet chose this node at start, and chooses it no more', async () => {
  const moved = setUp({}, ofPool('apps'))
  await moved.start()
  moved.world.daemonSet = ofPool('others')
  await moved.stop()
  expect(moved.asked).toEqual(['start', 'remove'])
  expect(moved.told('interception-removed')).toMatchObject([{ why: expect.stringContaining('node-1') }])

  const relabelled = setUp({}, ofPool('apps'))
  await relabelled.start()
  relabelled.world.labels = { pool: 'others' }
  await relabelled.stop()
  expect(relabelled.asked).toEqual(['start', 'remove'])
})

test.each<[string, (it: ReturnType<typeof setUp>) => void]>([
  ['the node is still chosen', () => {}],
  ['the node may not be read', (it) => void (it.world.labels = forbidden)],
  ['the node shows no labels', (it) => void (it.world.labels = undefined)],
  [
    'the template has a condition that is not known',
    (it) => {
      const requiredTerms = [{ matchExpressions: [{ key: 'pool', operator: 'Like', values: ['x'] }] }]
      it.world.daemonSet = { kind: 'present', uid: 'd', placement: { nodeSelector: {}, requiredTerms } }
    },
  ],
  ['no template is shown', (it) => void (it.world.daemonSet = { kind: 'present', uid: 'd' })],
  [
    'another agent has its rules in place by then',
    (it) => {
      it.world.daemonSet = ofPool('others')
      it.world.state = 'yielded'
    },
  ],
])('they stay where %s', async (_, change) => {
  const it = setUp({}, ofPool('apps'))
  await it.start()
  change(it)
  await it.stop()
  expect(it.asked).toEqual(['start', 'stop'])
})

test('they stay where the DaemonSet never chose this node: --daemonset may name the wrong one', async () => {
  const wrong = setUp({}, ofPool('others'))
  await wrong.start()
  await wrong.stop()
  expect(wrong.asked).toEqual(['start', 'stop'])
  expect(wrong.told('interception-stays')).toMatchObject([{ why: expect.stringContaining('never seen') }])
  expect(wrong.told('unwise')).toMatchObject([{ setting: '--daemonset' }])
})

test('a node that may not be read is told at start, and only an uninstall takes the rules away', async () => {
  const it = setUp({}, ofPool('apps'))
  it.world.labels = forbidden
  await it.start()
  expect(it.told('unwise')).toMatchObject([{ why: expect.stringContaining('nodes may not be read') }])
  it.world.labels = { pool: 'others' }
  it.world.daemonSet = { kind: 'absent' }
  await it.stop()
  expect(it.asked).toEqual(['start', 'remove'])
})

test('no node is read for a DaemonSet that chooses every node', async () => {
  const everywhere: DaemonSetState = {
    kind: 'present',
    uid: 'd',
    placement: { nodeSelector: {}, requiredTerms: undefined },
  }
  const it = setUp({}, everywhere)
  it.world.labels = forbidden
  await it.start()
  expect(it.told('unwise')).toEqual([])
  await it.stop()
  expect(it.asked).toEqual(['start', 'stop'])
})

test('who has not put rules in place removes none: another agent of the node may have', async () => {
  for (const cleanup of ['always', 'auto'] as const) {
    const it = setUp({ cleanup }, { kind: 'deleting', uid: 'd' })
    await it.stop()
    expect(it.asked).toEqual(['stop'])
    expect(it.told('interception-stays')).toHaveLength(1)
  }
})

test('a start that failed is tried again', async () => {
  const it = setUp()
  it.faults.start = 3
  await it.start()
  await it.clock.advance(600_000)
  expect(it.asked).toEqual(['start', 'start', 'start', 'start'])
  expect(it.told('interception-failed')).toHaveLength(3)
  await it.stop()
})

test('a probe that failed is told, and starts nothing again', async () => {
  const it = setUp({ probeWith: 'node' })
  it.faults.probe = denied
  await it.start()
  await it.clock.advance(600_000)
  expect(it.asked).toEqual(['start', 'probe'])
  expect(it.told('interception-failed')).toEqual([])
  expect(it.told('interception-not-tried')).toMatchObject([{ code: 'COMMAND_DENIED' }])
  await it.stop()
})

test('a probe that is ended because the agent stops is no news', async () => {
  const it = setUp({ probeWith: '/usr/bin/node' })
  it.faults.probe = new CodedError('ABORTED', 'stopped')
  await it.start()
  expect(it.asked).toEqual(['start', 'probe'])
  expect(it.told('interception-not-tried')).toEqual([])
  await it.stop()
})

test.each(['in-place', 'yielded'] as const)(
  'rules that are %s and leave a family open are not ready',
  (state) => {
    const { rules } = setUp()
    expect(rules({ state, families: { 4: 'redirected', 6: 'dropped' } })).toMatchObject({ ok: true })
    expect(rules({ state, families: { 4: 'redirected', 6: 'absent' } })).toMatchObject({ ok: true })
    const familyReasons = { 6: 'ip6tables is not installed' }
    expect(rules({ state, families: { 4: 'redirected', 6: 'unprotected' }, familyReasons })).toEqual({
      ok: false,
      reason: expect.stringMatching(/over IPv6: ip6tables is not installed; .*nftables/),
    })
    expect(rules({ state, families: { 4: 'unprotected', 6: 'redirected' } })).toMatchObject({ ok: false })
  },
)

test('rules that redirect nothing are not ready', () => {
  const { rules } = setUp()
  const families = { 4: 'dropped', 6: 'absent' } as const
  const familyReasons = { 4: 'no NAT in this kernel' }
  expect(rules({ state: 'in-place', families, familyReasons })).toEqual({
    ok: false,
    reason: expect.stringContaining('no NAT in this kernel'),
  })
})

test('rules of a later instance are as good as ours while it listens, and not when nobody does', () => {
  const { rules } = setUp()
  const families = { 4: 'redirected', 6: 'dropped' } as const
  const yieldedTo = (reached: 'answered' | 'refused' | 'unknown') =>
    rules({ state: 'yielded', families, yieldedTo: { instance: 'new', reached } })
  expect(yieldedTo('answered')).toMatchObject({ ok: true })
  expect(yieldedTo('unknown')).toMatchObject({ ok: true })
  expect(yieldedTo('refused')).toEqual({ ok: false, reason: expect.stringMatching(/new.* nobody listens/) })
})
