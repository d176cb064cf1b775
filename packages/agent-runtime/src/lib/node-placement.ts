import type { NodePlacement, NodeRequirement, NodeSelectorTerm } from '@kube2iam-ts/pod-registry/kubernetes'

/** A node as a DaemonSet chooses it; `labels` is `undefined` where they are not known. */
export interface PlacedNode {
  readonly name: string
  readonly labels: Readonly<Record<string, string>> | undefined
}

/** `unclear`: what the API server would refuse, or what this version does not know. */
export type Placement = 'wanted' | 'not-wanted' | 'unclear'

/** Whether every node will do, so that none has to be looked at. */
export const takesEveryNode = ({ nodeSelector, requiredTerms }: NodePlacement): boolean =>
  requiredTerms === undefined && Object.keys(nodeSelector).length === 0

/**
 * Whether a pod with that node selector and required node affinity belongs on the node: every label of the selector,
 * and one of the terms (kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node). Taints are not looked at.
 */
export function placementOn(node: PlacedNode, { nodeSelector, requiredTerms }: NodePlacement): Placement {
  const selected = Object.entries(nodeSelector).map(([key, value]) =>
    byLabel(node, { key, operator: 'In', values: [value] }),
  )
  const affine =
    requiredTerms === undefined ? 'wanted' : some(requiredTerms.map((term) => byTerm(node, term)))
  return every([...selected, affine])
}

function byTerm(node: PlacedNode, { matchExpressions = [], matchFields = [] }: NodeSelectorTerm): Placement {
  // One without conditions matches no node. That takes the rules away by an oversight: not clear enough.
  if (matchExpressions.length + matchFields.length === 0) return 'unclear'
  return every([
    ...matchExpressions.map((requirement) => byLabel(node, requirement)),
    ...matchFields.map((requirement) => byField(node, requirement)),
  ])
}

function byField(node: PlacedNode, { key, operator, values = [] }: NodeRequirement): Placement {
  if (key !== 'metadata.name' || values.length !== 1) return 'unclear'
  if (operator === 'In') return is(values[0] === node.name)
  return operator === 'NotIn' ? is(values[0] !== node.name) : 'unclear'
}

function byLabel({ labels }: PlacedNode, { key, operator, values = [] }: NodeRequirement): Placement {
  if (labels === undefined) return 'unclear'
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (operator) {
    case 'In':
      return values.length === 0 ? 'unclear' : is(value !== undefined && values.includes(value))
    case 'NotIn':
      return values.length === 0 ? 'unclear' : is(value === undefined || !values.includes(value))
    case 'Exists':
      return is(value !== undefined)
    case 'DoesNotExist':
      return is(value === undefined)
    case 'Gt':
    case 'Lt':
      return byNumber(value, operator, values)
    default:
      return 'unclear'
  }
}

function byNumber(value: string | undefined, operator: 'Gt' | 'Lt', values: readonly string[]): Placement {
  const [limit] = values
  if (limit === undefined || values.length > 1 || !INTEGER.test(limit)) return 'unclear'
  // A label that is no number is on no side of the limit.
  if (value === undefined || !INTEGER.test(value)) return 'not-wanted'
  return is(operator === 'Gt' ? BigInt(value) > BigInt(limit) : BigInt(value) < BigInt(limit))
}

/** What `BigInt` takes for a decimal integer, too. */
const INTEGER = /^-?\d{1,18}$/

const is = (holds: boolean): Placement => (holds ? 'wanted' : 'not-wanted')

function every(parts: readonly Placement[]): Placement {
  if (parts.includes('not-wanted')) return 'not-wanted'
  return parts.includes('unclear') ? 'unclear' : 'wanted'
}

function some(parts: readonly Placement[]): Placement {
  if (parts.includes('wanted')) return 'wanted'
  return parts.length === 0 || parts.includes('unclear') ? 'unclear' : 'not-wanted'
}
