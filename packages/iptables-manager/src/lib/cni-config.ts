import type { NodeFiles } from './node-files.ts'

/** What a CNI configuration says of the interfaces that it makes. */
export type CniFinding =
  | { readonly kind: 'interface'; readonly pattern: string; readonly evidence: string }
  /** The plugin's pods do not pass the node's own interfaces. */
  | { readonly kind: 'unseen'; readonly plugin: string; readonly evidence: string }

interface Plugin {
  readonly type?: unknown
  readonly bridge?: unknown
  readonly vethPrefix?: unknown
  readonly delegate?: unknown
  readonly delegates?: unknown
}

const DIRECTORY = '/etc/cni/net.d'

/**
 * Reads the first configuration of the directory, as container runtimes do (github.com/containernetworking/cni,
 * libcni), and says by which interface its pods' packets come in.
 */
export async function readCniConfig(files: NodeFiles): Promise<readonly CniFinding[]> {
  const name = (await files.list(DIRECTORY)).find((entry) => /\.(conf|conflist|json)$/.test(entry))
  if (name === undefined) return []
  const text = await files.readText(`${DIRECTORY}/${name}`)
  return text === undefined ? [] : cniFindings(text, `${DIRECTORY}/${name}`)
}

/** The findings of one configuration; none where it cannot be understood. */
export function cniFindings(text: string, path: string): readonly CniFinding[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return []
  }
  return pluginsOf(parsed).flatMap((plugin) => findingsOf(plugin, path))
}

function pluginsOf(configuration: unknown): Plugin[] {
  if (typeof configuration !== 'object' || configuration === null) return []
  const { plugins, delegates, delegate } = configuration as {
    plugins?: unknown
    delegates?: unknown
    delegate?: unknown
  }
  const inner = [plugins, delegates].flatMap((list) => (Array.isArray(list) ? (list as unknown[]) : []))
  return [configuration, ...inner.flatMap(pluginsOf), ...(delegate === undefined ? [] : pluginsOf(delegate))]
}

/** Plugins that always name their interfaces the same way. */
const FIXED: Readonly<Record<string, string>> = {
  calico: 'cali+',
  'cilium-cni': 'lxc+',
  'weave-net': 'weave',
  antrea: 'antrea-gw0',
  'ovn-k8s-cni-overlay': 'ovn-k8s-mp0',
  'openshift-sdn': 'tun0',
  ptp: 'veth+',
  'azure-vnet': 'azv+',
  // It delegates to the bridge plugin, whose default this is.
  flannel: 'cni0',
}

function findingsOf(plugin: Plugin, path: string): CniFinding[] {
  const type = typeof plugin.type === 'string' ? plugin.type : ''
  const found = (pattern: string): CniFinding[] => [
    {
      kind: 'interface',
      pattern,
      evidence: `${path} has the plugin ${type}, whose pods are behind ${pattern}`,
    },
  ]
  if (type === 'bridge')
    return found(typeof plugin.bridge === 'string' && plugin.bridge !== '' ? plugin.bridge : 'cni0')
  if (type === 'aws-cni')
    return found(
      `${typeof plugin.vethPrefix === 'string' && plugin.vethPrefix !== '' ? plugin.vethPrefix : 'eni'}+`,
    )
  if (type === 'macvlan' || type === 'ipvlan') {
    return [
      {
        kind: 'unseen',
        plugin: type,
        evidence: `${path} has the plugin ${type}, whose pods have no interface on the node`,
      },
    ]
  }
  const pattern = FIXED[type]
  return pattern === undefined ? [] : found(pattern)
}
