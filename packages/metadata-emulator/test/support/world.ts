import { type Clock, systemClock } from '@kube2iam-ts/core'
import { collectReports } from '@kube2iam-ts/core/testing'
import {
  createEmulator,
  createMemoryTokenKeys,
  type EmulatorEvent,
  type EmulatorSettings,
  parseMetadataAllow,
  type TokenKeys,
  type Upstream,
} from '../../src/index.ts'
import { createInstanceMetadata, type Listener, type ListenerLimits, listen } from '../../src/node.ts'
import {
  createFakeCredentialService,
  createFakeInstance,
  type FakeCredentialService,
  type FakeInstance,
} from '../../src/testing.ts'
import { exchange, parseAnswers, type RawAnswer } from './raw-client.ts'

/** The system's clock, whose time of day can be moved. */
export interface ShiftableClock extends Clock {
  shift(ms: number): void
}

export function createShiftableClock(): ShiftableClock {
  let offset = 0
  return {
    ...systemClock,
    now: () => systemClock.now() + offset,
    shift(ms) {
      offset += ms
    },
  }
}

/** Each pod asks from an address of its own. */
export const PODS = {
  app: {
    address: '127.44.0.7',
    name: 'app',
    role: 'arn:aws:iam::123456789012:role/team/app',
    token: 'jwt-app',
  },
  other: {
    address: '127.44.0.8',
    name: 'other',
    role: 'arn:aws:iam::210987654321:role/other',
    token: 'jwt-other',
  },
  plain: { address: '127.44.0.9', name: 'plain', token: 'jwt-plain' },
  odd: { address: '127.44.0.10', name: 'odd', role: 'arn:aws:iam::123456789012:role/a+b=c,d.e@f-g_h' },
  denied: {
    address: '127.44.0.11',
    name: 'denied',
    role: 'arn:aws:iam::123456789012:role/denied',
    refusal: 'sts-denied',
    token: 'jwt-denied',
  },
  broken: {
    address: '127.44.0.12',
    name: 'broken',
    role: 'arn:aws:iam::123456789012:role/broken',
    refusal: 'sts-unavailable',
    token: 'jwt-broken',
  },
  forbidden: {
    address: '127.44.0.13',
    name: 'forbidden',
    role: 'arn:aws:iam::123456789012:role/forbidden',
    refusal: 'namespace-denied',
  },
  slow: {
    address: '127.44.0.14',
    name: 'slow',
    role: 'arn:aws:iam::123456789012:role/slow',
    delayMs: 60_000,
  },
} as const

export type PodName = keyof typeof PODS
export const STRANGER = '127.44.0.99'

export interface WorldOptions {
  settings?: Partial<EmulatorSettings>
  limits?: Partial<ListenerLimits>
  tokenKeys?: TokenKeys
  lenient?: boolean
  allow?: readonly string[]
  host?: string
  /** Both protocols on each listener, as the agent has them unless the container protocol has a port of its own. */
  shared?: boolean
}

/** An emulator on real sockets between fake pods and a fake instance. */
export interface World {
  readonly clock: ShiftableClock
  readonly instance: FakeInstance
  readonly instanceUrl: string
  readonly service: FakeCredentialService
  readonly events: EmulatorEvent[]
  readonly listener: Listener
  readonly containers: Listener
  readonly tokenKeys: TokenKeys
  /** A token of the address, straight from the listener. */
  tokenOf(from: string, ttl?: string): Promise<string>
  ask(request: Ask): Promise<RawAnswer>
  close(): Promise<void>
}

export interface Ask {
  readonly method?: string
  readonly target: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly from?: string
  readonly token?: string
  readonly version?: '1.0' | '1.1'
  readonly body?: string
  readonly to?: 'imds' | 'containers'
  readonly timeoutMs?: number
}

export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const { host = '127.0.0.1', tokenKeys = createMemoryTokenKeys() } = options
  const clock = createShiftableClock()
  const { events, report } = collectReports<EmulatorEvent>()
  const instance = createFakeInstance({ lenient: options.lenient ?? false })
  const { url } = await instance.listen()
  const upstream: Upstream = createInstanceMetadata({ origin: url, clock, report })
  const service = createFakeCredentialService({ clock, callers: Object.values(PODS) })
  const settings = {
    ...(options.allow === undefined ? {} : { allow: parseMetadataAllow(options.allow) }),
    ...options.settings,
  }
  const emulator = createEmulator({
    service,
    upstream,
    clock,
    random: Math.random,
    report,
    tokenKeys,
    settings,
  })
  const limits = options.limits ?? {}
  const { metadata, container } = options.shared
    ? { metadata: emulator.shared, container: emulator.shared }
    : emulator
  const listener = await listen({ handler: metadata, host, port: 0, clock, report, limits })
  const containers = await listen({ handler: container, host, port: 0, clock, report, limits })

  const ask = async (request: Ask): Promise<RawAnswer> => {
    const {
      method = 'GET',
      version = '1.1',
      headers = [],
      from = PODS.app.address,
      body = '',
      token,
    } = request
    const all = [
      ...(version === '1.1' && !headers.some(([name]) => /^host$/i.test(name))
        ? [['Host', request.to === 'containers' ? '169.254.170.23' : '169.254.169.254'] as const]
        : []),
      ...(token === undefined ? [] : [['X-aws-ec2-metadata-token', token] as const]),
      ...headers,
    ]
    const head = `${method} ${request.target} HTTP/${version}\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
    const { port } = request.to === 'containers' ? containers : listener
    const bytes = await exchange(head + body, { port, host, from, timeoutMs: request.timeoutMs ?? 5000 })
    const final = parseAnswers(bytes, method === 'HEAD').findLast((one) => one.status >= 200)
    if (final === undefined) throw new Error(`no answer to ${method} ${request.target}`)
    return final
  }

  return {
    clock,
    instance,
    instanceUrl: url,
    service,
    events,
    listener,
    containers,
    tokenKeys,
    ask,
    async tokenOf(from, ttl = '21600') {
      const headers = [['X-aws-ec2-metadata-token-ttl-seconds', ttl] as const]
      const answer = await ask({ method: 'PUT', target: '/latest/api/token', headers, from })
      return answer.body.toString()
    },
    async close() {
      await listener.close()
      await containers.close()
      await upstream.close()
      await instance.close()
    },
  }
}
