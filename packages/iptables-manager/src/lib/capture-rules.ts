import { type IpAddress, isIpv6 } from '@kube2iam-ts/core'
import type { InterfaceMatch, Owner, Rule } from './rule.ts'
import { ownComment } from './rule.ts'
import { type CaptureSettings, type Endpoint, endpointsOf, type Family, familyOf } from './settings.ts'

/** By what a pod's packet is known when it enters the node. */
export type CaptureSource =
  | { readonly kind: 'interface'; readonly match: InterfaceMatch }
  | { readonly kind: 'cidr'; readonly cidr: string }
  /** Any interface but the loopback: nothing better is known. */
  | { readonly kind: 'any' }

/** The rules of one address family. */
export interface FamilyCapture {
  readonly endpoints: readonly Endpoint[]
  /** For destination NAT before routing; empty where the agent cannot be reached over this family. */
  readonly redirect: readonly Rule[]
  /** For what is about to be forwarded or delivered: whatever still has the metadata address was not redirected. */
  readonly guard: readonly Rule[]
  /** A range that holds all endpoints, so that other packets cost one comparison. */
  readonly scope?: string
}

export type Capture = Readonly<Record<Family, FamilyCapture>>

export interface CaptureInput {
  readonly settings: CaptureSettings
  readonly owner: Owner
  readonly sources: readonly CaptureSource[]
  /** Whether the node can do destination NAT for the family. */
  readonly nat: Readonly<Record<Family, boolean>>
}

/**
 * What the rules must be.
 *
 * The guard is why nothing leaks when somebody flushes the nat table: NAT rewrites the destination before routing, so
 * a packet that arrives at FORWARD or INPUT with the metadata address was not redirected, and is dropped there, in a
 * table of its own. The node's own processes go through OUTPUT (and `lo`) and never meet either.
 */
export function captureRules(input: CaptureInput): Capture {
  const endpoints = endpointsOf(input.settings)
  const one = (family: Family): FamilyCapture => {
    const own = endpoints.filter((endpoint) => endpoint.family === family)
    return {
      endpoints: own,
      redirect: redirectRules(input, own, family),
      guard: guardRules(input, own, family),
      ...scopeOf(own),
    }
  }
  return { 4: one(4), 6: one(6) }
}

function redirectRules(
  { settings, owner, sources, nat }: CaptureInput,
  endpoints: readonly Endpoint[],
  family: Family,
): Rule[] {
  const hostIp = settings.hostIps.find((ip) => familyOf(ip) === family)
  if (hostIp === undefined || !nat[family]) return []
  const rules = endpoints
    .filter(({ action }) => action === 'redirect')
    .flatMap(({ address, port }) =>
      sourceMatches(sources, family).map(
        (match): Rule => ({
          ...match,
          destination: address,
          protocol: 'tcp',
          destinationPort: port,
          comment: ownComment(owner, 'redirect'),
          target: { kind: 'dnat', address: hostIp, port: settings.appPort },
        }),
      ),
    )
  return rules.length === 0 ? [] : [exceptLoopback(owner), ...rules]
}

function guardRules(
  { settings, owner, sources }: CaptureInput,
  endpoints: readonly Endpoint[],
  family: Family,
): Rule[] {
  const matches = settings.guard === 'pods' ? sourceMatches(sources, family) : [{}]
  const rules = endpoints.flatMap(({ address }) =>
    matches.map(
      (match): Rule => ({
        ...match,
        destination: address,
        comment: ownComment(owner, 'guard'),
        target: { kind: 'drop' },
      }),
    ),
  )
  return rules.length === 0 ? [] : [exceptLoopback(owner), ...rules]
}

/** Where the metadata address is the node's own (never on EC2), its processes reach it over `lo` and may. */
const exceptLoopback = (owner: Owner): Rule => ({
  inInterface: { name: 'lo', negated: false },
  comment: ownComment(owner, 'own'),
  target: { kind: 'return' },
})

/** No source that fits the family means: any. The agent refuses callers that it does not know; the real one would not. */
function sourceMatches(
  sources: readonly CaptureSource[],
  family: Family,
): Pick<Rule, 'source' | 'inInterface'>[] {
  const matches = sources.flatMap((source): Pick<Rule, 'source' | 'inInterface'>[] => {
    switch (source.kind) {
      case 'interface':
        return [{ inInterface: source.match }]
      case 'cidr':
        return source.cidr.includes(':') === (family === 6) ? [{ source: source.cidr }] : []
      case 'any':
        return [{}]
      default:
        return source satisfies never
    }
  })
  return matches.length === 0 ? [{}] : matches
}

function scopeOf(endpoints: readonly Endpoint[]): { scope?: string } {
  const addresses: readonly IpAddress[] = endpoints.map(({ address }) => address)
  if (addresses.length === 1 && addresses[0] !== undefined) return { scope: addresses[0] }
  if (addresses.every((address) => address.startsWith('169.254.'))) return { scope: '169.254.0.0/16' }
  if (addresses.every((address) => isIpv6(address) && address.startsWith('fd00:ec2:')))
    return { scope: 'fd00:ec2::/32' }
  return {}
}
