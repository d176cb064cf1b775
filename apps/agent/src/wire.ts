import {
  type Agent,
  type AgentDeps,
  type AgentSettings,
  createAgent,
  type Log,
} from '@kube2iam-ts/agent-runtime'
import { parseIpAddress, systemClock } from '@kube2iam-ts/core'
import { createCaptureManager, createExecFileRunner, parseHostInterface } from '@kube2iam-ts/iptables-manager'
import { createMemoryTokenKeys, type TokenKeys } from '@kube2iam-ts/metadata-emulator'
import { createInstanceMetadata, listen, openTokenKeyDirectory } from '@kube2iam-ts/metadata-emulator/node'
import { Registry } from 'prom-client'
import { createAuditFile } from './audit-file.ts'
import { buildInfo } from './build-info.ts'
import { connect } from './cluster.ts'
import { createSts } from './sts.ts'

export type Environment = Readonly<Record<string, string | undefined>>

const clock = systemClock
const random = Math.random

/** The agent with the real world around it. Rejects with `CLUSTER_CONFIG` where the API server cannot be told. */
export async function wire(settings: AgentSettings, environment: Environment, log: Log): Promise<Agent> {
  const { host, port } = settings.metadataAddr
  const origin = `http://${host.includes(':') ? `[${host}]` : host}:${port}`
  const deps: AgentDeps = {
    settings,
    build: buildInfo,
    clock,
    random,
    log,
    metrics: new Registry(),
    audit: createAuditFile(settings.auditLog, log),
    process: {
      nodePath: process.execPath,
      residentBytes: () => process.memoryUsage.rss(),
      cpuSeconds: () => process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6,
    },
    cluster: await connect(settings, environment, { clock, random }),
    createTokenService: (report, upstream) =>
      createSts({ settings, environment, origin, clock, upstream, report }),
    tokenKeys: tokenKeys(settings.runDirectory, log),
    createUpstream: (report) => createInstanceMetadata({ origin, clock, report }),
    listen,
  }
  return createAgent(settings.iptables ? { ...deps, createCapture: captureOf(settings) } : deps)
}

const captureOf =
  (settings: AgentSettings): NonNullable<AgentDeps['createCapture']> =>
  (report) =>
    createCaptureManager({
      settings: {
        instance: instanceName(settings.node),
        hostIps: settings.hostIp === undefined ? [] : [parseIpAddress(settings.hostIp)],
        appPort: settings.appPort,
        hostInterface: parseHostInterface(settings.hostInterface),
        containerCredentials: settings.containerCredentials,
        backend: settings.iptablesBackend,
        podCidrs: settings.podCidrs,
      },
      runner: createExecFileRunner(),
      clock,
      random,
      report,
    })

/** What stands in the comment of each rule: one agent of one node, whichever of its processes. */
const instanceName = (node: string | undefined): string =>
  (node ?? 'node').replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(0, 40)

/** Keys on the node, so that tokens outlive the agent; in memory where there is no place for them. */
function tokenKeys(directory: string | undefined, log: Log): TokenKeys {
  if (directory !== undefined) {
    try {
      return openTokenKeyDirectory({ directory: `${directory}/token-keys`, clock })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      log.write('warn', 'metadata tokens will not outlive this process', { directory, reason })
    }
  }
  return createMemoryTokenKeys()
}
