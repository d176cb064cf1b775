import type { CaptureSource } from './capture-rules.ts'
import { restoreInput } from './iptables-backend.ts'
import { nftCommands } from './nft-syntax.ts'
import type { NetfilterStep, Plan, Step } from './plan.ts'
import type { Reached } from './reach.ts'
import { batchLines, type RoutingStep } from './routing-rules.ts'
import { FAMILIES } from './settings.ts'
import { type CaptureStatus, openWays } from './status.ts'

/** A plan for people: what would be given to which program. */
export function printPlan({ steps, yieldedTo }: Plan): string {
  if (yieldedTo !== undefined)
    return `nothing to do: the later instance ${yieldedTo.instance} keeps its own rules here\n`
  if (steps.length === 0) return 'nothing to do: every rule is in place\n'
  return printSteps(steps)
}

/** Steps for people, table by table. */
export function printSteps(steps: readonly Step[]): string {
  const tables = [...new Set(steps.map(({ table }) => table))]
  return tables
    .map((table) => {
      if (table === 'ip/rule' || table === 'ip6/rule') {
        const lines = batchLines(steps.filter((step): step is RoutingStep => step.table === table))
        return `# ip ${table === 'ip/rule' ? '' : '-6 '}-batch -\n${lines}`
      }
      const own = steps.filter((step): step is NetfilterStep => step.table === table)
      if (table === 'inet/kube2iam') {
        const { nftables } = nftCommands(own)
        return `# nft -j\n${nftables.map((command) => `${JSON.stringify(command)}\n`).join('')}`
      }
      return `# ${table.startsWith('ip6/') ? 'ip6tables' : 'iptables'}-restore --noflush\n${restoreInput(table, own)}`
    })
    .join('\n')
}

/** A source as people write it. */
export function printSource(source: CaptureSource): string {
  switch (source.kind) {
    case 'interface':
      return `${source.match.negated ? '!' : ''}${source.match.name}`
    case 'cidr':
      return source.cidr
    case 'any':
      return 'any interface but lo'
    default:
      return source satisfies never
  }
}

const LISTENS: Readonly<Record<Reached, string>> = {
  answered: 'which listens',
  refused: 'which does not listen',
  unknown: 'which was not tried or did not answer in time',
}

/** The status for people, one fact a line. */
export function printStatus(status: CaptureStatus): string {
  const time = (at: number | undefined): string => (at === undefined ? 'never' : new Date(at).toISOString())
  const lines: [string, string][] = [
    ['rules', status.state],
    ...(status.yieldedTo === undefined
      ? []
      : [
          ['yielded to', `${status.yieldedTo.instance}, ${LISTENS[status.yieldedTo.reached]}`] as [
            string,
            string,
          ],
        ]),
    ...(status.problem === undefined
      ? []
      : [['problem', `${status.problem.code}: ${status.problem.message}`] as [string, string]]),
    [
      'backend',
      status.backend === undefined ? 'not known yet' : `${status.backend} (${status.backendEvidence ?? ''})`,
    ],
    ...FAMILIES.map((family): [string, string] => {
      const reason = status.familyReasons[family]
      return [`IPv${family}`, `${status.families[family]}${reason === undefined ? '' : ` (${reason})`}`]
    }),
    ...openWays(status).map(({ why, remedy }): [string, string] => ['open', `${why}; ${remedy}`]),
    [
      'guard in routing',
      `${FAMILIES.map((family) => `IPv${family} ${status.routing.families[family]}`).join(', ')}${
        status.routing.reason === undefined ? '' : ` (${status.routing.reason})`
      }`,
    ],
    [
      'pods come in by',
      `${status.sources.map(printSource).join(', ')} (${status.sourcesEvidence.join('; ')})`,
    ],
    ...(status.warning === undefined
      ? []
      : [
          ['warning', `${status.warning.interface} carries no pod; try ${status.warning.suggestion}`] as [
            string,
            string,
          ],
        ]),
    [
      'intercepting',
      status.interception.kind === 'unseen'
        ? 'not seen yet'
        : `${status.interception.kind}: ${status.interception.evidence}`,
    ],
    ['redirected', `${status.counters.redirected} connections`],
    ['dropped', `${status.counters.dropped} packets`],
    ['last look', time(status.lastLookAt)],
    ['last repair', `${time(status.lastRepairAt)}, ${status.repairs} in all`],
    ['changes are', status.monitored ? 'told by the kernel' : 'found by looking again and again'],
  ]
  const width = Math.max(...lines.map(([name]) => name.length))
  return lines.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('')
}
