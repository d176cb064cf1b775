import type { KubeObject } from '../cluster/objects.ts'
import { dig, digList, digText } from '../cluster/objects.ts'

export interface ContainerArgs {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** What the kubelet would put where a manifest says so. */
export interface NodeFacts {
  readonly name: string
  /** One of each family, the primary one first. */
  readonly ips: readonly string[]
}

/** The node on which a manifest is read. */
export const FIRST_NODE: NodeFacts = { name: 'node-1', ips: ['10.0.0.1', 'fd00::1'] }

/**
 * The arguments of the agent's container in a DaemonSet, with `$(NAME)` replaced as the kubelet does it. The agent's
 * is the container whose image or name says kube2iam, or the only one.
 */
export function daemonSetArgs(objects: readonly KubeObject[], node: NodeFacts): ContainerArgs | undefined {
  const containers = objects
    .filter(({ kind }) => kind === 'DaemonSet')
    .flatMap((set) => digList(set, 'spec', 'template', 'spec', 'containers'))
  const agent =
    containers.find((container) =>
      [digText(container, 'image'), digText(container, 'name')].some((text) => text?.includes('kube2iam')),
    ) ?? (containers.length === 1 ? containers[0] : undefined)
  if (agent === undefined) return undefined
  const env: Record<string, string> = {}
  for (const variable of digList(agent, 'env')) {
    const name = digText(variable, 'name')
    const value = digText(variable, 'value') ?? fieldValue(variable, node)
    if (name !== undefined && value !== undefined) env[name] = expand(value, env)
  }
  const words = [...digList(agent, 'command').slice(1), ...digList(agent, 'args')]
  return {
    args: words.filter((word) => typeof word === 'string').map((word) => expand(word, env)),
    env,
  }
}

function fieldValue(variable: unknown, node: NodeFacts): string | undefined {
  switch (dig(variable, 'valueFrom', 'fieldRef', 'fieldPath')) {
    case 'status.hostIP':
    case 'status.podIP':
      return node.ips[0]
    case 'status.hostIPs':
    case 'status.podIPs':
      return node.ips.join(',')
    case 'spec.nodeName':
      return node.name
    case 'metadata.name':
      return 'kube2iam'
    case 'metadata.namespace':
      return 'kube-system'
    default:
      return undefined
  }
}

/** `$(NAME)` is replaced where NAME is known; `$$(NAME)` is the text `$(NAME)`. */
const expand = (text: string, env: Readonly<Record<string, string>>): string =>
  text.replaceAll(/(\$?)\$\(([A-Za-z_][A-Za-z0-9_]*)\)/g, (whole, escaped: string, name: string) =>
    escaped === '$' ? whole.slice(1) : (env[name] ?? whole),
  )
