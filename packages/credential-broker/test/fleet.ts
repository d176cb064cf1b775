import type { Clock } from '@kube2iam-ts/core'
import { aGrant, createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import { type Broker, type BrokerSettings, createBroker } from '../src/index.ts'
import { createFakeTokenService } from '../src/testing.ts'
import { anOwner } from './set-up.ts'

export const SECOND = 1_000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE

export interface FleetOptions {
  nodes: number
  podsPerNode: number
  seed?: number
  settings?: Partial<BrokerSettings>
}

/** Many nodes' brokers at one account's STS, which lets `ratePerSecond` calls through. */
export function createFleet({ nodes, podsPerNode, seed = 1, settings = {} }: FleetOptions) {
  const clock = createFakeClock(new Date('2026-01-01T00:00:00Z'), { settle: 'instant' })
  const account = createAccountLimit(clock)
  const sts = createFakeTokenService({ clock, random: createSeededRandom(seed) })
  sts.latencyMs = 60
  sts.behave = () => (account.take() ? { kind: 'issue' } : { kind: 'fail', code: 'STS_THROTTLED' })
  const brokers = Array.from({ length: nodes }, (_, node) =>
    createBroker({
      tokenService: sts,
      clock,
      random: createSeededRandom(seed * 1_000 + node),
      report: () => {},
      settings,
    }),
  )
  const pods = brokers.flatMap((broker, node) =>
    Array.from({ length: podsPerNode }, (_, pod) => ({
      broker,
      owner: anOwner(`pod-${node}-${pod}`),
      grant: aGrant({ sessionName: `default.pod-${node}-${pod}` }),
    })),
  )

  return {
    clock,
    account,
    sts,
    brokers,
    pods,
    wantAll() {
      for (const { broker, owner, grant } of pods) broker.want(owner, grant)
    },
    /** What every pod would get this moment, and the least real life in it. */
    async askAll(): Promise<{ served: number; failed: number; leastLifeMs: number }> {
      let [served, failed, leastLifeMs] = [0, 0, Number.POSITIVE_INFINITY]
      for (const { broker, owner, grant } of pods) {
        const answer = await broker.credentials(grant, { owner, signal: SILENT, deadline: clock.monotonic() })
        if (answer.kind !== 'credentials') {
          failed += 1
          continue
        }
        served += 1
        leastLifeMs = Math.min(
          leastLifeMs,
          answer.credentials.expiration.getTime() - clock.now() - sts.skewMs,
        )
      }
      return { served, failed, leastLifeMs }
    },
    close: () => Promise.all(brokers.map((broker: Broker) => broker.close())),
  }
}

const SILENT = new AbortController().signal

/** The token bucket that AWS keeps for an account, which no node can see. */
function createAccountLimit(clock: Clock) {
  let tokens = Number.POSITIVE_INFINITY
  let filledAt = clock.monotonic()
  const limit = { ratePerSecond: Number.POSITIVE_INFINITY, burst: Number.POSITIVE_INFINITY }
  return Object.assign(limit, {
    take(): boolean {
      const now = clock.monotonic()
      const gained = now === filledAt ? 0 : ((now - filledAt) / SECOND) * limit.ratePerSecond
      tokens = Math.min(limit.burst, tokens + gained)
      filledAt = now
      if (tokens < 1) return false
      tokens -= 1
      return true
    },
  })
}

/** How many of the instants fall into each interval, from `from` on. */
export function countPer(
  interval: number,
  instants: readonly number[],
  from: number,
  until: number,
): number[] {
  const counts = Array<number>(Math.ceil((until - from) / interval)).fill(0)
  for (const at of instants) {
    const index = Math.floor((at - from) / interval)
    if (index >= 0 && index < counts.length) counts[index] = (counts[index] ?? 0) + 1
  }
  return counts
}

/** A picture of the counts, one column each. */
export function plot(title: string, counts: readonly number[], height = 8): string {
  const top = Math.max(1, ...counts)
  const rows = Array.from({ length: height }, (_, row) => {
    const from = ((height - row - 1) * top) / height
    const bars = counts.map((count) => (count > from ? '█' : ' ')).join('')
    return `${from.toFixed(1).padStart(7)} │${bars}`
  })
  return [title, ...rows, `        └${'─'.repeat(counts.length)}`, ''].join('\n')
}
