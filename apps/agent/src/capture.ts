import { isIP } from 'node:net'
import { hostname } from 'node:os'
import type { AgentSettings } from '@kube2iam-ts/agent-runtime'
import { parseIpAddress, type Report, systemClock } from '@kube2iam-ts/core'
import {
  type CaptureEvent,
  type CaptureManager,
  createCaptureManager,
  createExecFileRunner,
  createTcpReach,
  type ExtraEndpoint,
  parseHostInterface,
} from '@kube2iam-ts/iptables-manager'

/**
 * The rules of this node, or `only` their removal or the guard, for which nobody has to know where the agent listens.
 * Throws `CAPTURE_INVALID`.
 */
export function createCapture(
  settings: AgentSettings,
  report: Report<CaptureEvent>,
  only?: 'removal' | 'block',
): CaptureManager {
  return createCaptureManager({
    ...(only !== undefined && { only }),
    settings: {
      // What stands in the comment of each rule. All agents of a node are one instance, whichever process it is.
      instance: hostname()
        .replaceAll(/[^A-Za-z0-9._-]/g, '-')
        .slice(0, 40),
      hostIps: settings.hostIps.map(parseIpAddress),
      appPort: settings.appPort,
      hostInterface: parseHostInterface(settings.hostInterface),
      containerCredentials: settings.containerCredentials,
      extraEndpoints: upstreamEndpoint(settings),
      backend: settings.iptablesBackend,
      guardRouting: settings.guardRouting,
      podCidrs: settings.podCidrs,
    },
    runner: createExecFileRunner(),
    reach: createTcpReach(),
    clock: systemClock,
    random: Math.random,
    report,
  })
}

/**
 * Where the node's metadata service has another address than on EC2, pods have to be kept from that one as well: whoever
 * answers there hands out the role of the node. Not so a name, of which nobody can say to what it will resolve, nor an
 * address of the node itself, where pods meet what listens on it and not the metadata service.
 */
export function upstreamEndpoint({
  metadataAddr: { host, port },
  hostIps,
}: Pick<AgentSettings, 'metadataAddr' | 'hostIps'>): readonly ExtraEndpoint[] {
  if (isIP(host) === 0) return []
  const address = parseIpAddress(host)
  const isOwn = hostIps.some((own) => address === parseIpAddress(own))
  if (isOwn || NOT_OF_ANOTHER.test(address)) return []
  return [{ address, port, action: 'redirect' }]
}

/** Loopback, and the unspecified address, which connects to it. */
const NOT_OF_ANOTHER = /^(127\.|0\.0\.0\.0$|::1?$)/
