import { type Clock, type IpAddress, type Report } from '@kube2iam-ts/core'
import {
  createRateLimiter,
  type Emulator,
  type EmulatorEvent,
  type EmulatorRequest,
  type Handler,
  type Reply,
} from '@kube2iam-ts/metadata-emulator'
import type { Listener, ListenOptions } from '@kube2iam-ts/metadata-emulator/node'
import type { BoundAddress, BoundAddresses } from './agent-events.ts'
import type { AgentSettings } from './settings/settings.ts'
import { answerStatus, type StatusAnswer, type StatusScope, type StatusSources } from './status-routes.ts'

export interface ListenersOptions {
  readonly settings: AgentSettings
  readonly emulator: Emulator
  readonly status: StatusSources
  readonly listen: (options: ListenOptions) => Promise<Listener>
  readonly clock: Clock
  readonly report: Report<EmulatorEvent>
}

export interface Listeners {
  readonly addresses: BoundAddresses
  /** Connections open now, of pods and others. */
  connections(): number
  close(drainMs: number): Promise<void>
}

/** Every interface: `::` takes IPv4 too where the node has IPv6, and is refused where it has not. */
const EVERYWHERE = '0.0.0.0'
const EVERYWHERE_OF_BOTH = '::'

/** What probes and Prometheus need, for each address that asks on the port of pods: a page of metrics costs milliseconds. */
const STATUS_RATE = { perSecond: 10, burst: 20 }

/** Whether health and metrics are on the port that pods reach. Two ports that the system chooses are two. */
export const sharesPort = ({ metricsPort, appPort }: AgentSettings): boolean =>
  metricsPort === undefined || (metricsPort === appPort && appPort !== 0)

/** Opens what the agent listens on, or nothing: where one address cannot be had, the others are closed again. */
export async function openListeners(options: ListenersOptions): Promise<Listeners> {
  const { settings, emulator, status, listen, clock, report } = options
  const opened: Listener[] = []
  const shares = sharesPort(settings)
  const { bindAddresses, hostIps } = settings
  const [podsHost = EVERYWHERE, ...otherHosts] = bindAddresses.length > 0 ? bindAddresses : hostIps
  const open = async (handler: Handler, host: string, port: number): Promise<Listener> => {
    const limits = { connectionsPerPeer: settings.podConnections }
    const listener = await listen({ handler, host, port, reusePort: port !== 0, clock, report, limits })
    opened.push(listener)
    return listener
  }
  const openForPods = async (handler: Handler, port: number): Promise<BoundAddress> => {
    const first = await open(handler, podsHost, port)
    const also: BoundAddress[] = []
    // Where the system chooses the port, both families have the same one.
    for (const host of otherHosts) also.push(boundAt(await open(handler, host, first.port)))
    return { ...boundAt(first), ...(also.length > 0 && { also }) }
  }
  try {
    const own = withContainerProtocol(settings, emulator)
    const metadata = await openForPods(
      withStatus(own, limited(status, clock, report), shares ? 'shared' : 'probe'),
      settings.appPort,
    )
    const metricsPort = settings.metricsPort
    const everywhere = hostIps.some((address) => address.includes(':')) ? EVERYWHERE_OF_BOTH : EVERYWHERE
    const statusAddress =
      shares || metricsPort === undefined
        ? metadata
        : boundAt(
            await open(
              withStatus(undefined, unlimited(status), 'private'),
              settings.metricsAddress ?? everywhere,
              metricsPort,
            ),
          )
    const container =
      settings.containerCredentials && settings.containerCredentialsPort !== undefined
        ? await openForPods(emulator.container, settings.containerCredentialsPort)
        : undefined
    return {
      addresses: { metadata, status: statusAddress, container },
      connections: () => opened.reduce((sum, { connections }) => sum + connections, 0),
      close: (drainMs) => closeAll(opened, drainMs),
    }
  } catch (error) {
    await closeAll(opened, 0)
    throw error
  }
}

const boundAt = ({ host, port }: Listener): BoundAddress => ({ host, port })

/** `10.0.3.17:8181 and [fd00::17]:8181` */
export const printBound = ({ host, port, also = [] }: BoundAddress): string =>
  [{ host, port }, ...also]
    .map((at) => `${at.host.includes(':') ? `[${at.host}]` : at.host}:${at.port}`)
    .join(' and ')

const closeAll = async (listeners: readonly Listener[], drainMs: number): Promise<void> => {
  await Promise.all(listeners.map((listener) => listener.close({ drainMs })))
}

/**
 * The redirection sends the container-credentials addresses to the same port. Host and path tell what a client means; a
 * pod may write there what it likes, because each protocol has its own proof of who asks.
 */
function withContainerProtocol(settings: AgentSettings, { metadata, shared }: Emulator): Handler {
  return settings.containerCredentials ? shared : metadata
}

type Status = (request: EmulatorRequest, scope: StatusScope) => Promise<StatusAnswer | undefined>

const unlimited =
  (sources: StatusSources): Status =>
  ({ target }, scope) =>
    answerStatus(target, sources, scope)

/** The same on the port of pods, where one that asks in a loop must not keep the agent from its work. */
function limited(sources: StatusSources, clock: Clock, report: Report<EmulatorEvent>): Status {
  const limiter = createRateLimiter({ clock, ...STATUS_RATE })
  return async ({ target, peer }, scope) => {
    if (limiter.take(peer)) return answerStatus(target, sources, scope)
    report({ kind: 'rejected', reason: 'status-rate', status: 429, peer })
    return { status: 429, contentType: 'text/plain', body: '' }
  }
}

/** Serves the status routes of this kind of listener, and everything else by `next`. */
function withStatus(next: Handler | undefined, status: Status, listener: StatusScope['listener']): Handler {
  return async (request) => {
    const { target } = request
    // Pods' requests begin with a version; this keeps them off the slower path.
    if (next !== undefined && !/^\/(healthz|readyz|metrics|debug)/.test(target)) return next(request)
    const answer = await status(request, { listener, local: isLocal(request.peer) })
    if (answer !== undefined) return reply(request, answer.status, answer.contentType, answer.body)
    return next === undefined ? reply(request, 404, 'text/plain', '') : next(request)
  }
}

const isLocal = (peer: IpAddress): boolean => peer === '::1' || peer.startsWith('127.')

function reply({ method }: EmulatorRequest, status: number, contentType: string, text: string): Reply {
  if (method !== 'GET' && method !== 'HEAD') {
    return { status: 405, headers: ['Allow', 'GET, HEAD', 'Content-Length', '0'], body: Buffer.alloc(0) }
  }
  const body = Buffer.from(text)
  return { status, headers: ['Content-Type', contentType, 'Content-Length', String(body.length)], body }
}
