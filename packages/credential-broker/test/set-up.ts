import type { Grant } from '@kube2iam-ts/core'
import { aGrant, collectReports, createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import {
  type Broker,
  type BrokerAnswer,
  type BrokerEvent,
  type BrokerSettings,
  createBroker,
  type SessionOwner,
} from '../src/index.ts'
import { createFakeTokenService } from '../src/testing.ts'

export const anOwner = (name = 'web-0'): SessionOwner => ({
  uid: `uid-of-${name}`,
  namespace: 'default',
  name,
  serviceAccount: 'default',
})

/** A broker over the fake service under a clock that stands still. */
export function setUp(settings: Partial<BrokerSettings> = {}, seed = 1) {
  const clock = createFakeClock()
  const random = createSeededRandom(seed)
  const sts = createFakeTokenService({ clock, random })
  const { events, report } = collectReports<BrokerEvent>()
  const broker = createBroker({ tokenService: sts, clock, random, report, settings })
  return { clock, sts, events, broker, ask: asking(broker, clock) }
}

/** Asks as a pod does: for 900 ms, or as long as told. */
export function asking(broker: Broker, clock: { monotonic(): number }) {
  return (
    grant: Grant = aGrant(),
    options: { owner?: SessionOwner; signal?: AbortSignal; forMs?: number } = {},
  ): Promise<BrokerAnswer> =>
    broker.credentials(grant, {
      owner: options.owner ?? anOwner(),
      signal: options.signal ?? new AbortController().signal,
      deadline: clock.monotonic() + (options.forMs ?? 900),
    })
}

export const accessKeyOf = (answer: BrokerAnswer): string =>
  answer.kind === 'credentials' ? answer.credentials.accessKeyId : `no credentials: ${answer.kind}`
