import type { NetfilterBackend } from './backend.ts'
import type { DesiredTable } from './plan.ts'
import { type ObservedRule, ownerOf } from './rule.ts'
import { type BackendName, METADATA_ADDRESSES } from './settings.ts'

/** A rule that another agent of this kind left. */
export interface Leftover {
  readonly backend: BackendName
  readonly table: 'ip/nat' | 'ip6/nat'
  readonly chain: 'PREROUTING'
  /** As iptables prints it after `-A PREROUTING `. */
  readonly raw: string
  /** Where it leads pods. */
  readonly leadsTo: string
}

/**
 * Finds what jtblin/kube2iam and kiam leave behind: one rule each, `-d 169.254.169.254 -p tcp --dport 80 -j DNAT` in
 * nat PREROUTING (their iptables.go), without a name. Rules that block the metadata address, which an administrator
 * may have made, are none of that and are not listed.
 */
export async function findLeftovers(
  backends: readonly NetfilterBackend[],
  signal?: AbortSignal,
): Promise<readonly Leftover[]> {
  const found: Leftover[] = []
  for (const backend of backends) {
    if (backend.name === 'nft') continue
    const support = await backend.probe(signal)
    const tables = (['ip/nat', 'ip6/nat'] as const).filter((id) => support[id === 'ip/nat' ? 4 : 6].nat)
    const observed = await backend.observe(tables.map(lookingAt), signal)
    for (const table of tables) {
      for (const rule of observed.get(table)?.get('PREROUTING')?.rules ?? []) {
        const leadsTo = target(rule)
        if (leadsTo !== undefined)
          found.push({ backend: backend.name, table, chain: 'PREROUTING', raw: rule.raw, leadsTo })
      }
    }
  }
  return found
}

/** Removes exactly those rules. */
export async function removeLeftovers(
  backends: readonly NetfilterBackend[],
  leftovers: readonly Leftover[],
  signal?: AbortSignal,
): Promise<void> {
  for (const backend of backends) {
    const steps = leftovers
      .filter((leftover) => leftover.backend === backend.name)
      .map(({ table, chain, raw }) => ({ op: 'delete-rule', table, chain, raw }) as const)
    if (steps.length > 0) await backend.apply(steps, signal)
  }
}

const lookingAt = (id: 'ip/nat' | 'ip6/nat'): DesiredTable => ({
  id,
  chains: [],
  jumps: [],
  ownChains: [],
  hooks: ['PREROUTING'],
  addresses: [],
})

function target(rule: ObservedRule): string | undefined {
  const { destination, protocol, destinationPort, other, target } = rule
  const toMetadata = METADATA_ADDRESSES.some((address) => address === destination)
  if (
    !toMetadata ||
    protocol !== 'tcp' ||
    destinationPort !== 80 ||
    other !== undefined ||
    ownerOf(rule) !== undefined
  )
    return undefined
  return target.kind === 'dnat' ? `${target.address}:${target.port}` : undefined
}
