import { hostname } from 'node:os'
import type { AgentSettings } from '@kube2iam-ts/agent-runtime'
import { parseIpAddress, type Report, systemClock } from '@kube2iam-ts/core'
import {
  type CaptureEvent,
  type CaptureManager,
  createCaptureManager,
  createExecFileRunner,
  parseHostInterface,
} from '@kube2iam-ts/iptables-manager'

/** The rules of this node. Throws `CAPTURE_INVALID`. */
export function createCapture(settings: AgentSettings, report: Report<CaptureEvent>): CaptureManager {
  return createCaptureManager({
    settings: {
      // What stands in the comment of each rule. All agents of a node are one instance, whichever process it is.
      instance: hostname()
        .replaceAll(/[^A-Za-z0-9._-]/g, '-')
        .slice(0, 40),
      hostIps: settings.hostIp === undefined ? [] : [parseIpAddress(settings.hostIp)],
      appPort: settings.appPort,
      hostInterface: parseHostInterface(settings.hostInterface),
      containerCredentials: settings.containerCredentials,
      backend: settings.iptablesBackend,
      podCidrs: settings.podCidrs,
    },
    runner: createExecFileRunner(),
    clock: systemClock,
    random: Math.random,
    report,
  })
}
