import { dig, digList, digText } from '../cluster/objects.ts'
import type { Step } from '../scenario/scenario.ts'
import type { Bound } from '../scenario/step-shape.ts'
import type { SimulatedNode } from './simulated-node.ts'
import type { Simulation } from './simulation.ts'

type CheckPart = Extract<Step, { kind: 'check' }>['value']

/** What is checked, in words. */
export const checkText = (part: CheckPart): string =>
  Object.entries(part)
    .map(([name, value]) => `${name} ${isBound(value) ? value.text : String(value)}`)
    .join(', ')

const isBound = (value: unknown): value is Bound =>
  typeof value === 'object' && value !== null && 'least' in value

/** Calls at the last check of each simulation. */
const seenCalls = new WeakMap<Simulation, number>()

/** Looks at the agents and at what they did. */
export async function judgeCheck(
  part: CheckPart,
  nodes: readonly SimulatedNode[],
  simulation: Simulation,
): Promise<{ readonly got: string; readonly failures: readonly string[] }> {
  const got: string[] = []
  const failures: string[] = []
  const compare = (name: string, value: number | string | boolean, right: boolean, wanted: string): void => {
    got.push(`${name} ${value}`)
    if (!right) failures.push(`expected ${name} ${wanted}, got ${value}`)
  }
  const counted = (name: string, bound: Bound | undefined, value: number): void => {
    if (bound !== undefined) compare(name, value, value >= bound.least && value <= bound.most, bound.text)
  }

  const calls = simulation.sts.calls.length
  counted('sts-calls', part['sts-calls'], calls)
  counted('sts-calls-since-last', part['sts-calls-since-last'], calls - (seenCalls.get(simulation) ?? 0))
  seenCalls.set(simulation, calls)
  counted(
    'upstream-requests',
    part['upstream-requests'],
    nodes.reduce((sum, { instance }) => sum + instance.podRequests, 0),
  )
  if (part.sessions !== undefined) {
    const held = await Promise.all(nodes.map((node) => node.sessions()))
    counted(
      'sessions',
      part.sessions,
      held.reduce((sum, count) => sum + count, 0),
    )
  }
  for (const node of nodes) {
    const on = nodes.length > 1 ? ` on ${node.name}` : ''
    const ready = node.agent?.health().ready ?? false
    if (part.ready !== undefined) compare(`ready${on}`, ready, ready === part.ready, String(part.ready))
    if (part.live !== undefined) {
      const live = node.agent !== undefined
      compare(`live${on}`, live, live === part.live, String(part.live))
    }
    if (part.rule !== undefined) {
      const rule = node.redirects ? 'present' : 'absent'
      compare(`rule${on}`, rule, rule === part.rule, part.rule)
    }
    if (part.taint !== undefined) {
      const object = simulation.api.get('Node', undefined, node.name)
      const has = digList(dig(object, 'spec'), 'taints').some(
        (taint) => digText(taint, 'key')?.includes('kube2iam') === true,
      )
      const taint = has ? 'present' : 'absent'
      compare(`taint${on}`, taint, taint === part.taint, part.taint)
    }
  }
  return { got: got.join(', '), failures }
}
