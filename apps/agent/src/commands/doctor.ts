import type { AgentSettings } from '@kube2iam-ts/agent-runtime'
import { createNodeFiles } from '@kube2iam-ts/iptables-manager'
import { connectToCluster } from '@kube2iam-ts/pod-registry/kubernetes'
import { openCluster } from '../cluster.ts'
import { checkAws } from '../doctor/aws-checks.ts'
import { checkCluster } from '../doctor/cluster-checks.ts'
import type { Finding } from '../doctor/finding.ts'
import { checkInterception, checkRollOut } from '../doctor/node-checks.ts'
import { type CommandInput, say, sayJson, settingsOf } from './command.ts'

/**
 * Exit status by the worst finding: 0 all is well, 3 warnings only, 1 something is broken. What can never be told from
 * here is no reason for a 3 that never goes away.
 */
const STATUS = { ok: 0, unknown: 0, warning: 3, error: 1 } as const

/** Looks at everything that stands between the pods of this node and their credentials. Changes nothing. */
export async function doctor({ json, ...input }: CommandInput & { readonly json: boolean }): Promise<number> {
  const settings = await settingsOf(input)
  const findings = await examine(settings, input)
  await (json ? sayJson(findings) : say(findings.map(print).join('')))
  const worst = (['error', 'warning', 'unknown', 'ok'] as const).find((severity) =>
    findings.some((finding) => finding.severity === severity),
  )
  return STATUS[worst ?? 'ok']
}

async function examine(settings: AgentSettings, { environment }: CommandInput): Promise<readonly Finding[]> {
  const connection = connectToCluster(await openCluster(settings, environment))
  try {
    const { findings, pods, namespaces } = await checkCluster(settings, connection)
    return [
      ...findings,
      ...(await checkAws({ settings, environment, pods, namespaces })),
      ...(await checkInterception(settings, pods)),
      await checkRollOut(createNodeFiles()),
    ]
  } finally {
    await connection.close()
  }
}

const MARKS = { ok: 'ok     ', unknown: 'unknown', warning: 'warning', error: 'error  ' } as const

function print({ severity, check, message, remedy }: Finding): string {
  const line = `${MARKS[severity]}  ${check.padEnd(16)}  ${message}\n`
  return remedy === undefined || severity === 'ok' ? line : `${line}${' '.repeat(27)}remedy: ${remedy}\n`
}
