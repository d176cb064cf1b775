import type { AgentSettings } from '@kube2iam-ts/agent-runtime'
import { ignoreReports, isCoded, type PodIdentity } from '@kube2iam-ts/core'
import { type NodeFiles, openWays } from '@kube2iam-ts/iptables-manager'
import { holdsAddresses } from '@kube2iam-ts/pod-registry'
import { createCapture } from '../capture.ts'
import { broken, doubtful, type Finding, fine, reasonOf } from './finding.ts'

/** The rules of this node, what its settings mean for them, and whether packets of pods are really redirected. */
export async function checkInterception(
  settings: AgentSettings,
  pods: readonly PodIdentity[],
): Promise<readonly Finding[]> {
  if (!settings.iptables) return [fine('interception', 'is somebody else’s: --iptables is not given')]
  try {
    const capture = createCapture(settings, ignoreReports)
    capture.setPods(pods.filter(holdsAddresses).flatMap(({ addresses }) => addresses))
    const findings: Finding[] = [...(await capture.checkNode())]
    const seen = await capture.inspect()
    const { state, warning, problem } = seen
    const open = openWays(seen)
    if (state === 'in-place' || state === 'yielded') {
      findings.push(...open.map(({ why, remedy }) => broken('rules', why, remedy)))
      if (open.length === 0) findings.push(fine('rules', `every rule is ${state}`))
    } else {
      const why = problem === undefined ? '' : `: ${problem.message}`
      findings.push(
        broken(
          'rules',
          `the rules are ${state}${why}`,
          'let the agent run with --iptables; see kube2iam iptables plan',
        ),
      )
    }
    if (warning !== undefined) {
      findings.push(
        broken(
          'interface',
          `${warning.interface} carries no pod of this node`,
          `set --host-interface=${warning.suggestion}, or leave it to auto`,
        ),
      )
    }
    findings.push(await probe(capture))
    return findings
  } catch (error) {
    if (!isCoded(error)) throw error
    return [broken('rules', error.message, 'see the message')]
  }
}

const MIGRATE = 'net.ipv4.tcp_migrate_req'

/** What becomes of connections that wait to be accepted when one agent takes over from another: ip-sysctl.rst of Linux. */
export async function checkRollOut(files: Pick<NodeFiles, 'readText'>): Promise<Finding> {
  const check = 'roll-out'
  const value = (await files.readText(`/proc/sys/${MIGRATE.replaceAll('.', '/')}`))?.trim()
  if (value === '1') return fine(check, 'connections that wait to be accepted pass to the next agent')
  const kernel = value === undefined ? 'a kernel of 5.14 or later, and ' : ''
  return doubtful(
    check,
    `a roll-out of the agent may reset a connection that waits to be accepted: ${
      value === undefined ? `this kernel has no ${MIGRATE}` : `${MIGRATE} is ${value}`
    }`,
    `${kernel}sysctl ${MIGRATE}=1 on the node, or components/migrate-requests of deploy/kustomize`,
  )
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

async function probe(capture: ReturnType<typeof createCapture>): Promise<Finding> {
  const check = 'probe'
  const interrupted = new AbortController()
  const interrupt = (): void => interrupted.abort()
  // Whoever interrupts the command must not be left with the network namespace that the probe has made.
  for (const signal of SIGNALS) process.once(signal, interrupt)
  try {
    const result = await capture.probe(process.execPath, interrupted.signal)
    switch (result.outcome) {
      case 'intercepted':
        return result.answered
          ? fine(check, `a connection from where pods are was redirected and answered: ${result.evidence}`)
          : doubtful(
              check,
              `a connection was redirected, and nobody answered: ${result.evidence}`,
              'see whether the agent runs and listens on --app-port',
            )
      case 'dropped':
        return broken(
          check,
          `a connection came past the redirect and was dropped: ${result.evidence}`,
          'look at --host-interface',
        )
      case 'exposed':
        return broken(
          check,
          `a connection reached the metadata service of the node: ${result.evidence}`,
          'look at --host-interface, and at who else writes rules',
        )
      case 'lost':
        return broken(
          check,
          `a connection met none of our rules: ${result.evidence}`,
          'look at --host-interface',
        )
      case 'impossible':
        return fine(check, `cannot be made here: ${result.reason}`)
      default:
        return result satisfies never
    }
  } catch (error) {
    return doubtful(check, reasonOf(error), 'run it with CAP_SYS_ADMIN and CAP_NET_ADMIN')
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt)
  }
}
