import type { Clock, Random, Report } from '@kube2iam-ts/core'
import { empty, metadataReply } from './answer.ts'
import { createContainerHandler, createContainerTest, fault } from './container-handler.ts'
import type { CredentialService, Patience } from './credential-service.ts'
import type { EmulatorEvent } from './events.ts'
import type { EmulatorRequest, Handler } from './message.ts'
import { createMetadataHandler, type Handled } from './metadata-handler.ts'
import { createRateLimiter } from './rate-limit.ts'
import { classify } from './routes.ts'
import { defaultEmulatorSettings, type EmulatorSettings } from './settings.ts'
import { spareUpstream } from './spare-upstream.ts'
import type { TokenKeys } from './token-keys.ts'
import { createTokens } from './tokens.ts'
import type { Upstream } from './upstream-port.ts'

export interface EmulatorOptions {
  readonly service: CredentialService
  readonly upstream: Upstream
  readonly clock: Clock
  readonly random: Random
  readonly report: Report<EmulatorEvent>
  readonly tokenKeys: TokenKeys
  /** What is not given is as `defaultEmulatorSettings` says. */
  readonly settings?: Partial<EmulatorSettings>
}

export interface Emulator {
  /** The metadata service of 169.254.169.254 and [fd00:ec2::254]. */
  readonly metadata: Handler
  /** The container-credentials protocol of 169.254.170.2, 169.254.170.23 and [fd00:ec2::23]. */
  readonly container: Handler
  /** Both on one port, where the redirection sends all of these addresses: the one that the request is for. */
  readonly shared: Handler
}

/** Makes the handlers. They know no sockets: whoever calls them says which address asks. */
export function createEmulator(options: EmulatorOptions): Emulator {
  const { clock, random, report, tokenKeys, service } = options
  const settings: EmulatorSettings = { ...defaultEmulatorSettings, ...options.settings }
  const upstream = spareUpstream(options.upstream, { clock, report, rate: settings.upstreamRate })
  const limiter = createRateLimiter({ clock, ...settings.rate })
  const tokens = createTokens({ keys: tokenKeys, clock, random })
  const metadata = createMetadataHandler({ service, upstream, tokens, clock, settings })
  const container = createContainerHandler({ service, settings })

  const tell = (
    request: EmulatorRequest,
    arrived: number,
    about: Pick<EmulatorEvent & { kind: 'request' }, 'service' | 'route'>,
    { answer }: Handled,
  ): void =>
    report({
      kind: 'request',
      service: about.service,
      route: about.route,
      outcome: answer.outcome,
      status: answer.status,
      durationMs: clock.monotonic() - arrived,
      peer: request.peer,
      pod: answer.pod,
      tokenVersion: request.headers.token === undefined ? 1 : 2,
    })

  const isForContainers = createContainerTest(settings)

  const emulator: Emulator = {
    async metadata(request) {
      const arrived = clock.monotonic()
      const route = classify(request.target)
      let handled: Handled
      try {
        if (limiter.take(request.peer))
          handled = await metadata(request, route, new RequestPatience(request, arrived + settings.podWaitMs))
        else handled = dressed(429, 'rate-limited')
      } catch (error) {
        report({ kind: 'bug', error })
        handled = dressed(500, 'bug')
      }
      tell(request, arrived, { service: 'imds', route: route.name }, handled)
      return handled.reply
    },
    async container(request) {
      const arrived = clock.monotonic()
      let handled: Handled
      try {
        if (limiter.take(request.peer))
          handled = await container(request, new RequestPatience(request, arrived + settings.podWaitMs))
        else handled = fault('rate-limited')
      } catch (error) {
        report({ kind: 'bug', error })
        handled = fault('bug')
      }
      tell(request, arrived, { service: 'container', route: 'container-credentials' }, handled)
      return handled.reply
    },
    shared: (request) =>
      isForContainers(request) ? emulator.container(request) : emulator.metadata(request),
  }
  return emulator
}

/** Reads the request's signal no earlier than somebody waits: that is when one is made. */
class RequestPatience implements Patience {
  readonly deadline: number
  readonly #request: EmulatorRequest

  constructor(request: EmulatorRequest, deadline: number) {
    this.#request = request
    this.deadline = deadline
  }

  get signal(): AbortSignal {
    return this.#request.signal
  }
}

function dressed(status: number, outcome: 'rate-limited' | 'bug'): Handled {
  const answer = empty(status, outcome)
  return { answer, reply: metadataReply(answer, undefined) }
}
