import {
  type Agent,
  type AgentDeps,
  type AgentSettings,
  createAgent,
  type Log,
} from '@kube2iam-ts/agent-runtime'
import { systemClock } from '@kube2iam-ts/core'
import { createNodeFiles } from '@kube2iam-ts/iptables-manager'
import { createMemoryTokenKeys, type TokenKeys } from '@kube2iam-ts/metadata-emulator'
import { createInstanceMetadata, listen, openTokenKeyDirectory } from '@kube2iam-ts/metadata-emulator/node'
import { createNodeAttachments } from '@kube2iam-ts/pod-registry/node'
import { Registry } from 'prom-client'
import { createAuditFile } from './audit-file.ts'
import { buildInfo } from './build-info.ts'
import { createCapture } from './capture.ts'
import { connect } from './cluster.ts'
import { createSts } from './sts.ts'

export type Environment = Readonly<Record<string, string | undefined>>

const clock = systemClock
const random = Math.random

/** The agent with the real world around it. Rejects with `CONFIG_INVALID` where something cannot be used. */
export async function wire(settings: AgentSettings, environment: Environment, log: Log): Promise<Agent> {
  const origin = metadataOrigin(settings)
  const audit = settings.auditLog === undefined ? undefined : createAuditFile(settings.auditLog, log)
  const deps: AgentDeps = {
    settings,
    build: buildInfo,
    clock,
    random,
    log,
    metrics: new Registry(),
    ...(audit && { audit: audit.write, auditLost: audit.lost }),
    process: {
      nodePath: process.execPath,
      residentBytes: () => process.memoryUsage.rss(),
      cpuSeconds: () => process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6,
    },
    cluster: await connect(settings, environment, { clock, random }),
    attachments: createNodeAttachments({ clock }),
    createTokenService: (report, upstream) =>
      createSts({
        settings,
        environment,
        origin,
        clock,
        upstream,
        report,
        warn: (why) => log.write('warn', 'setting is unwise', { setting: 'AWS_ENDPOINT_URL_STS', why }),
      }),
    tokenKeys: tokenKeys(settings.runDirectory, log),
    createUpstream: (report) => createInstanceMetadata({ origin, clock, report }),
    nodeFiles: createNodeFiles(),
    listen,
  }
  return createAgent(
    settings.iptables ? { ...deps, createCapture: (report) => createCapture(settings, report) } : deps,
  )
}

/** Where the node's own metadata service is. */
export function metadataOrigin({ metadataAddr: { host, port } }: AgentSettings): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Keys on the node, so that tokens outlive the agent; in memory where there is no place for them. */
function tokenKeys(directory: string | undefined, log: Log): TokenKeys {
  if (directory !== undefined) {
    try {
      return openTokenKeyDirectory({
        directory: `${directory}/token-keys`,
        clock,
        report: (event) => {
          if (event.kind === 'token-key-recovered')
            log.write('info', 'metadata tokens have a key of the day again')
          else
            log.write('warn', 'metadata tokens are signed with an old key', { reason: event.error.message })
        },
      })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      log.write('warn', 'metadata tokens will not outlive this process', { directory, reason })
    }
  }
  return createMemoryTokenKeys()
}
