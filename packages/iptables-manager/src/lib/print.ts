import type { CaptureSource } from './capture-rules.ts'
import { restoreInput } from './iptables-backend.ts'
import { nftCommands } from './nft-syntax.ts'
import type { Plan, Step } from './plan.ts'
import { FAMILIES } from './settings.ts'
import type { CaptureStatus } from './status.ts'

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
      const own = steps.filter((step) => step.table === table)
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

/** The status for people, one fact a line. */
export function printStatus(status: CaptureStatus): string {
  const time = (at: number | undefined): string => (at === undefined ? 'never' : new Date(at).toISOString())
  const lines: [string, string][] = [
    ['rules', status.state],
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
