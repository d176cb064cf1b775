import type { Cidr, IpAddress } from '@kube2iam-ts/core'
import type { CaptureSource } from './capture-rules.ts'
import type { CniFinding } from './cni-config.ts'
import type { InterfaceMatch } from './rule.ts'
import type { HostInterface } from './settings.ts'
import { matchesInterface, patternOfDevice, wellKnownAmong } from './well-known-interfaces.ts'

/** What was found out about this node. */
export interface NodeNetwork {
  /** Device towards each pod of the node that has a route. */
  readonly podDevices: ReadonlyMap<IpAddress, string>
  /** Devices of default routes: a pod "behind" one has no interface of its own here. */
  readonly defaultDevices: ReadonlySet<string>
  readonly cni: readonly CniFinding[]
  readonly links: readonly string[]
  readonly podCidrs: readonly Cidr[]
}

export interface ResolvedSources {
  readonly sources: readonly CaptureSource[]
  /** Why, in short sentences for one log line. */
  readonly evidence: readonly string[]
  /** The interface that was named carries no pod, and which would. */
  readonly warning?: { readonly interface: string; readonly suggestion: string }
  /** How many pods have no interface on the node (macvlan, ipvlan): their packets may leave it past every rule. */
  readonly podsApart?: number
}

/** More exact names than this are written as one pattern. */
const MANY_DEVICES = 8

/** Decides by what pods' packets are known. Pure: the first kind of evidence that says anything decides. */
export function chooseSources(wanted: HostInterface, network: NodeNetwork): ResolvedSources {
  if (wanted.kind === 'named') return named(wanted.matches, network)
  return fromPods(network) ?? fromCni(network) ?? fromLinks(network) ?? fromCidrs(network)
}

function named(matches: readonly InterfaceMatch[], network: NodeNetwork): ResolvedSources {
  const text = matches.map(({ name, negated }) => `${negated ? '!' : ''}${name}`).join(',')
  const better = fromPods(network) ?? fromCni(network) ?? fromLinks(network)
  const patterns = (better?.sources ?? []).flatMap((source) =>
    source.kind === 'interface' ? [source.match.name] : [],
  )
  const fits = patterns.some((pattern) => matches.some((match) => meets(match, pattern)))
  const warning =
    better === undefined || patterns.length === 0 || fits
      ? undefined
      : {
          interface: text,
          suggestion: `--host-interface=${patterns.join(',')}: ${better.evidence.join('; ')}`,
        }
  return {
    sources: matches.map((match) => ({ kind: 'interface', match })),
    evidence: [`--host-interface names ${text}`],
    ...(warning && { warning }),
    ...(better?.podsApart !== undefined && { podsApart: better.podsApart }),
  }
}

/** Whether some interface can fit both. */
const meets = (match: InterfaceMatch, pattern: string): boolean => {
  const stem = pattern.replace(/\+$/, '')
  if (matchesInterface(match, stem)) return true
  return pattern.endsWith('+') && !match.negated && match.name.startsWith(stem)
}

function fromPods({ podDevices, defaultDevices, podCidrs }: NodeNetwork): ResolvedSources | undefined {
  const own = new Map<string, number>()
  const apart: IpAddress[] = []
  for (const [address, device] of podDevices) {
    if (device === 'lo') continue
    if (defaultDevices.has(device)) apart.push(address)
    else own.set(device, (own.get(device) ?? 0) + 1)
  }
  if (own.size === 0 && apart.length === 0) return undefined
  const patterns = patternsOf([...own.keys()])
  const ranges = apart.length === 0 ? [] : rangesFor(apart, podCidrs)
  const pods = [...own.values()].reduce((sum, count) => sum + count, 0)
  return {
    sources: [...patterns.map(asInterface), ...ranges],
    ...(apart.length > 0 && { podsApart: apart.length }),
    evidence: [
      ...(pods === 0 ? [] : [`the routes to ${pods} pods of this node go by ${patterns.join(', ')}`]),
      ...(apart.length === 0
        ? []
        : [
            `${apart.length} pods have no interface of their own on the node, as with macvlan: by ${
              ranges.some(({ kind }) => kind === 'any') ? 'any interface but lo' : 'pod address range'
            }, and only if their packets pass the node's own network stack`,
          ]),
    ],
  }
}

/** Names as patterns, each once; very many unknown names that begin alike become one pattern. */
function patternsOf(devices: readonly string[]): string[] {
  const patterns = [...new Set(devices.map(patternOfDevice))].toSorted()
  if (patterns.length <= MANY_DEVICES) return patterns
  const stem = commonStart(patterns.filter((pattern) => !pattern.endsWith('+')))
  return stem.length < 3 ? patterns : [...patterns.filter((pattern) => pattern.endsWith('+')), `${stem}+`]
}

const commonStart = (names: readonly string[]): string =>
  names.reduce((start, name) => {
    let length = 0
    while (length < start.length && start[length] === name[length]) length += 1
    return start.slice(0, length)
  }, names[0] ?? '')

function rangesFor(addresses: readonly IpAddress[], cidrs: readonly Cidr[]): CaptureSource[] {
  const holding = cidrs.filter((cidr) => addresses.some((address) => cidr.contains(address)))
  const all = addresses.every((address) => holding.some((cidr) => cidr.contains(address)))
  return all ? holding.map(({ text }) => ({ kind: 'cidr', cidr: text })) : [{ kind: 'any' }]
}

function fromCni({ cni, podCidrs }: NodeNetwork): ResolvedSources | undefined {
  const patterns = [
    ...new Set(cni.flatMap((finding) => (finding.kind === 'interface' ? [finding.pattern] : []))),
  ]
  const unseen = cni.filter(({ kind }) => kind === 'unseen')
  if (patterns.length === 0 && unseen.length === 0) return undefined
  const ranges = podCidrs.map(({ text }): CaptureSource => ({ kind: 'cidr', cidr: text }))
  const instead = ranges.length === 0 ? [{ kind: 'any' } as const] : ranges
  return {
    sources: [...patterns.map(asInterface), ...(unseen.length === 0 ? [] : instead)],
    evidence: cni.map(({ evidence }) => evidence),
  }
}

function fromLinks({ links }: NodeNetwork): ResolvedSources | undefined {
  const found = wellKnownAmong(links)
  if (found.length === 0) return undefined
  return {
    sources: found.map(({ pattern }) => asInterface(pattern)),
    evidence: found.map(({ pattern, network }) => `the node has ${pattern}, as ${network} names it`),
  }
}

function fromCidrs({ podCidrs }: NodeNetwork): ResolvedSources {
  if (podCidrs.length > 0) {
    return {
      sources: podCidrs.map(({ text }) => ({ kind: 'cidr', cidr: text })),
      evidence: ['no interface can be told: matched by the node’s pod address ranges'],
    }
  }
  return {
    sources: [{ kind: 'any' }],
    evidence: ['nothing is known of this node’s pods yet: any interface but lo'],
  }
}

const asInterface = (name: string): CaptureSource => ({ kind: 'interface', match: { name, negated: false } })
