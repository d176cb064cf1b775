import { createSeededRandom } from '@kube2iam-ts/core/testing'
import { createCalendar } from './calendar.ts'
import { createHistogram, quantileOf } from './histogram.ts'
import { createNodeModel } from './node-model.ts'
import type { FleetOptions } from './options.ts'
import { extraPods, keysPerNode } from './options.ts'
import { createStsModel } from './sts-model.ts'

/** What a roll-out, an outage or just a day of a fleet does to STS and to pods. */
export interface FleetResult {
  readonly options: FleetOptions
  readonly stsCalls: number
  readonly throttled: number
  readonly failed: number
  readonly throttledShare: number
  readonly callsPerSecond: { readonly mean: number; readonly p99: number; readonly peak: number }
  /** From a pod's address being known to its credentials being there. */
  readonly firstCredentialsMs: { readonly p50: number; readonly p99: number; readonly pods: number }
  /** Sessions that ended before they could be renewed, and for how long pods had none. */
  readonly gaps: { readonly count: number; readonly seconds: number }
  /** Sessions that an agent holds at most, and what it needs for them. */
  readonly sessionsPerNode: number
  readonly memoryMiB: number
  /** Calls in every minute, and how many of them were refused: for plots. */
  readonly minutes: { readonly calls: readonly number[]; readonly refused: readonly number[] }
  readonly tookMs: number
}

const SLOT_MS = 100
/** The broker renews between these shares of a session's life (`session-life.ts` of credential-broker). */
const RENEW_EARLIEST = 0.4
const RENEW_SPREAD = 1 / 15
const RETRY_BASE_MS = 500
const RETRY_MAX_MS = 30_000
const PREFETCH_EACH_MS = 100
const PREFETCH_SPREAD_MS = 15_000
/** Nothing is served this close to its end. */
const SAFETY_MS = 5000
/** kube2iam caches half of what it asked for. */
const ON_DEMAND_SHARE = 0.5

/**
 * Resident memory of the agent's bundle, started as its image starts it and measured with 1, 110 and 1,000 pods that have
 * a session each: 74, 88 and 113 MiB. The heap takes its first steps with the first pods; after them each costs the same.
 */
const BASE_MIB = 74
const FIRST_STEPS_MIB = 11
const FIRST_STEPS_PODS = 50
const POD_MIB = 0.014
const SESSION_MIB = 0.014

const memoryMiB = (pods: number, sessions: number): number =>
  BASE_MIB +
  FIRST_STEPS_MIB * (1 - Math.exp(-pods / FIRST_STEPS_PODS)) +
  pods * POD_MIB +
  sessions * SESSION_MIB

const EVENT = { want: 0, arrive: 1, churn: 2, restart: 3, zoneLost: 4 } as const

/** A fleet on its way through time. */
export interface FleetRun {
  /** Simulates up to this time or the end, whichever comes first; false at the end. */
  runUntil(ms: number): boolean
  /** What came of it so far. */
  result(tookMs: number): FleetResult
}

/** Simulates a fleet. Pure: the same options give the same result, but for `tookMs`. */
export function simulateFleet(options: FleetOptions, clock: () => number = () => 0): FleetResult {
  const began = clock()
  const run = createFleetRun(options)
  run.runUntil(Number.POSITIVE_INFINITY)
  return run.result(clock() - began)
}

/**
 * One closure over typed arrays on purpose: thirty million events of a large fleet's day pass through here, and every
 * object or call between them costs seconds.
 */
export function createFleetRun(options: FleetOptions): FleetRun {
  const { nodes, hours, sessionDurationMs, stsLatencyMs, sessionScope } = options
  const random = createSeededRandom(options.seed)
  const endMs = hours * 3_600_000
  const keys = keysPerNode(options)
  const podSlots = options.podsPerNode + extraPods(options)
  const total = nodes * keys

  const calendar = createCalendar(endMs, SLOT_MS, total + nodes * podSlots)
  const node = createNodeModel(options, random)
  const sts = createStsModel(options)

  const endsAt = new Float64Array(total)
  const wantedSince = new Float64Array(total).fill(-1)
  const waiting = new Uint16Array(total)
  const owners = new Uint16Array(total)
  const generation = new Uint16Array(total)
  const failures = new Uint8Array(total)
  const keyOfPod = new Int32Array(nodes * podSlots).fill(-1)
  const up = new Uint8Array(nodes)

  const seconds = new Uint32Array(Math.ceil(endMs / 1000) + 1)
  const minuteCalls = Array.from({ length: Math.ceil(endMs / 60_000) + 1 }, () => 0)
  const minuteRefused = minuteCalls.map(() => 0)
  const first = createHistogram()
  let stsCalls = 0
  let throttled = 0
  let failed = 0
  let gapCount = 0
  let gapMs = 0
  let mostSessions = 0

  const nodeOf = (session: number): number => Math.floor(session / keys)
  const drawKey = (pod: number): number => (sessionScope === 'pod' ? pod : Math.floor(random() * keys))

  const want = (session: number, atMs: number): void =>
    calendar.put(atMs, session, generation[session] ?? 0, EVENT.want)

  /** A pod takes its address at a moment: its session is there already, on its way, or to be fetched. */
  const bind = (nodeIndex: number, pod: number, nowMs: number, spreadMs: number): void => {
    const key = drawKey(pod)
    keyOfPod[nodeIndex * podSlots + pod] = key
    const session = nodeIndex * keys + key
    const others = owners[session] ?? 0
    owners[session] = others + 1
    if (others > 0) {
      if ((endsAt[session] ?? 0) > nowMs) first.add(0)
      else waiting[session] = (waiting[session] ?? 0) + 1
      return
    }
    waiting[session] = 1
    wantedSince[session] = nowMs
    if (options.refresh === 'ahead') want(session, nowMs + spreadMs)
    else want(session, nowMs)
  }

  const release = (nodeIndex: number, pod: number): void => {
    const at = nodeIndex * podSlots + pod
    const key = keyOfPod[at] ?? -1
    if (key === -1) return
    keyOfPod[at] = -1
    const session = nodeIndex * keys + key
    owners[session] = Math.max(0, (owners[session] ?? 1) - 1)
    if (owners[session] === 0) forget(session)
  }

  const forget = (session: number): void => {
    generation[session] = ((generation[session] ?? 0) + 1) & 0xffff
    endsAt[session] = 0
    failures[session] = 0
    waiting[session] = 0
  }

  const churnAt = (nowMs: number): number =>
    options.churnPerHour === 0
      ? Number.POSITIVE_INFINITY
      : nowMs + (-Math.log(1 - random()) / options.churnPerHour) * 3_600_000

  const issue = (session: number, nowMs: number): void => {
    const atMs = nowMs + stsLatencyMs
    const before = endsAt[session] ?? 0
    if (before > 0 && before - SAFETY_MS < atMs) {
      gapCount += 1
      gapMs += atMs - (before - SAFETY_MS)
    }
    const since = wantedSince[session] ?? -1
    for (let pods = waiting[session] ?? 0; pods > 0; pods -= 1) first.add(since < 0 ? 0 : atMs - since)
    waiting[session] = 0
    failures[session] = 0
    endsAt[session] = nowMs + sessionDurationMs
    const renewAt =
      options.refresh === 'ahead'
        ? nowMs + sessionDurationMs * (RENEW_EARLIEST + random() * RENEW_SPREAD)
        : nowMs +
          sessionDurationMs * ON_DEMAND_SHARE -
          (Math.log(1 - random()) * options.askEveryMs) / Math.max(1, owners[session] ?? 1)
    want(session, renewAt)
  }

  const refuse = (session: number, nodeIndex: number, nowMs: number, wasThrottled: boolean): void => {
    node.failed(nodeIndex, nowMs, wasThrottled)
    const wait = random() * retryBound(session, nowMs)
    failures[session] = Math.min(255, (failures[session] ?? 0) + 1)
    want(session, nowMs + wait)
  }

  /** Twice as long after each failure; and the nearer the end of what is held, the shorter. */
  const retryBound = (session: number, nowMs: number): number => {
    const bound = Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** Math.min(failures[session] ?? 0, 10))
    const left = (endsAt[session] ?? 0) - nowMs
    return Math.max(RETRY_BASE_MS, left > 0 ? Math.min(bound, left / 10) : bound)
  }

  const call = (session: number, nodeIndex: number, nowMs: number): void => {
    stsCalls += 1
    const second = Math.floor(nowMs / 1000)
    const minute = Math.floor(nowMs / 60_000)
    seconds[second] = (seconds[second] ?? 0) + 1
    minuteCalls[minute] = (minuteCalls[minute] ?? 0) + 1
    const answer = sts.ask(nodeIndex, nowMs)
    if (answer === 'issued') {
      node.succeeded(nodeIndex, nowMs)
      issue(session, nowMs)
      return
    }
    if (answer === 'throttled') throttled += 1
    else failed += 1
    minuteRefused[minute] = (minuteRefused[minute] ?? 0) + 1
    refuse(session, nodeIndex, nowMs, answer === 'throttled')
  }

  /** All sessions of a node are to be fetched: its agent is new. */
  const startNode = (nodeIndex: number, nowMs: number): void => {
    node.restart(nodeIndex)
    let place = 0
    for (let key = 0; key < keys; key += 1) {
      const session = nodeIndex * keys + key
      if ((owners[session] ?? 0) === 0) continue
      const before = endsAt[session] ?? 0
      generation[session] = ((generation[session] ?? 0) + 1) & 0xffff
      failures[session] = 0
      endsAt[session] = before
      const spread = Math.min(PREFETCH_SPREAD_MS, place * PREFETCH_EACH_MS)
      want(session, nowMs + (options.refresh === 'ahead' ? random() * spread : random() * options.askEveryMs))
      place += 1
    }
    mostSessions = Math.max(mostSessions, place)
  }

  // The fleet comes up: agents one after the other, each with its pods.
  for (let index = 0; index < nodes; index += 1) {
    const at = nodes === 1 ? 0 : (options.startOverMs * index) / nodes
    up[index] = 1
    for (let pod = 0; pod < options.podsPerNode; pod += 1) {
      const spread = Math.min(PREFETCH_SPREAD_MS, pod * PREFETCH_EACH_MS)
      bind(index, pod, at, random() * spread)
      const churn = churnAt(at)
      if (churn < endMs) calendar.put(churn, index * podSlots + pod, 0, EVENT.churn)
    }
    let held = 0
    for (let key = 0; key < keys; key += 1) if ((owners[index * keys + key] ?? 0) > 0) held += 1
    mostSessions = Math.max(mostSessions, held)
  }
  for (const [index, atMs] of rollOutTimes(options)) calendar.put(atMs, index, 0, EVENT.restart)
  if (options.zoneOutageAtMs > 0) calendar.put(options.zoneOutageAtMs, 0, 0, EVENT.zoneLost)

  const loseZone = (nowMs: number): void => {
    const extra = extraPods(options)
    for (let index = 0; index < nodes; index += 1) {
      if (index % options.zones === 0) {
        up[index] = 0
        for (let pod = 0; pod < podSlots; pod += 1) release(index, pod)
        calendar.put(nowMs + options.zoneOutageForMs, index, 0, EVENT.restart)
      } else {
        for (let pod = 0; pod < extra; pod += 1) {
          const spread = Math.min(PREFETCH_SPREAD_MS, pod * PREFETCH_EACH_MS)
          bind(index, options.podsPerNode + pod, nowMs, random() * spread)
        }
        mostSessions = Math.max(mostSessions, Math.min(keys, options.podsPerNode + extra))
      }
    }
  }

  const { event } = calendar
  const runSlot = (nowMs: number): void => {
    while (calendar.take()) {
      const { session, phase } = event
      switch (phase) {
        case EVENT.want:
        case EVENT.arrive: {
          if (event.generation !== generation[session]) break
          const nodeIndex = nodeOf(session)
          const open = node.openUntil(nodeIndex)
          if (open > nowMs) {
            want(session, open + random() * retryBound(session, nowMs))
            break
          }
          const at = phase === EVENT.want ? node.admit(nodeIndex, nowMs) : nowMs
          if (at >= nowMs + SLOT_MS) calendar.put(at, session, event.generation, EVENT.arrive)
          else call(session, nodeIndex, nowMs)
          break
        }
        case EVENT.churn: {
          const nodeIndex = Math.floor(session / podSlots)
          if (up[nodeIndex] === 1) {
            release(nodeIndex, session % podSlots)
            bind(nodeIndex, session % podSlots, nowMs, 0)
          }
          calendar.put(churnAt(nowMs), session, 0, EVENT.churn)
          break
        }
        case EVENT.restart:
          if (up[session] === 0) {
            up[session] = 1
            for (let pod = 0; pod < options.podsPerNode; pod += 1)
              bind(session, pod, nowMs, random() * PREFETCH_SPREAD_MS)
          } else startNode(session, nowMs)
          break
        case EVENT.zoneLost:
          loseZone(nowMs)
          break
        default:
          break
      }
    }
  }

  const result = (tookMs: number): FleetResult => {
    const whole = seconds.subarray(0, Math.max(1, Math.floor(endMs / 1000)))
    return {
      options,
      stsCalls,
      throttled,
      failed,
      throttledShare: stsCalls === 0 ? 0 : throttled / stsCalls,
      callsPerSecond: {
        mean: stsCalls / (endMs / 1000),
        p99: quantileOf(whole, 0.99),
        peak: whole.reduce((most, calls) => Math.max(most, calls), 0),
      },
      firstCredentialsMs: { p50: first.quantile(0.5), p99: first.quantile(0.99), pods: first.count },
      gaps: { count: gapCount, seconds: gapMs / 1000 },
      sessionsPerNode: mostSessions,
      memoryMiB: memoryMiB(podSlots, mostSessions),
      minutes: { calls: minuteCalls, refused: minuteRefused },
      tookMs,
    }
  }

  let ended = false
  return {
    runUntil(ms) {
      while (!ended && calendar.nowMs < ms) {
        runSlot(calendar.nowMs)
        ended = !calendar.advance()
      }
      return !ended
    },
    result,
  }
}

/** When each node's agent is replaced. */
export function rollOutTimes({
  nodes,
  rollOut,
  rollOutAtMs,
  rollOutShare,
  rollOutNodeMs,
}: FleetOptions): readonly [number, number][] {
  if (rollOut === 'none') return []
  const atOnce = rollOut === 'all-at-once' ? nodes : Math.max(1, Math.floor(nodes * rollOutShare))
  return Array.from({ length: nodes }, (_, index) => [
    index,
    rollOutAtMs + Math.floor(index / atOnce) * rollOutNodeMs + rollOutNodeMs * ((index % atOnce) / atOnce),
  ])
}
