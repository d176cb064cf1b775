import type { NetfilterBackend } from './backend.ts'
import type { LayoutInput } from './layout.ts'
import type { NetfilterStep, TableId } from './plan.ts'

const OWN_TABLE: TableId = 'inet/kube2iam'

/**
 * iptables with a second guard in an nftables table of its own. Whoever flushes every table of iptables, as firewalld
 * and `iptables-restore` do, takes redirect and guard in one go; of this table they know nothing, so that the way
 * stays shut until the rules are back. It also guards families that the iptables of this node cannot: where ip6tables
 * or its tables are missing, pods would reach the metadata service by its IPv6 address.
 */
export function withSecondGuard(iptables: NetfilterBackend, nft: NetfilterBackend): NetfilterBackend {
  const isOwn = ({ table }: NetfilterStep): boolean => table === OWN_TABLE
  return {
    name: iptables.name,
    monitors: iptables.monitors,
    probe: (signal) => iptables.probe(signal),
    tables(input) {
      const none = { redirect: [] }
      const capture = { 4: { ...input.capture[4], ...none }, 6: { ...input.capture[6], ...none } }
      const families = { 4: guarded(input.families[4]), 6: guarded(input.families[6]) }
      return [...nft.tables({ ...input, capture, families }), ...iptables.tables(input)]
    },
    async observe(tables, signal) {
      const [own, shared] = await Promise.all([
        nft.observe(
          tables.filter(({ id }) => id === OWN_TABLE),
          signal,
        ),
        iptables.observe(
          tables.filter(({ id }) => id !== OWN_TABLE),
          signal,
        ),
      ])
      return new Map([...own, ...shared])
    },
    fingerprint: (tables, signal) =>
      iptables.fingerprint(
        tables.filter(({ id }) => id !== OWN_TABLE),
        signal,
      ),
    fingerprintOf: (tables, observed) => iptables.fingerprintOf(tables, observed),
    ...(iptables.counts && { counts: iptables.counts }),
    async apply(steps, signal) {
      // In the order of the plan, which begins with what shuts the way and, when removing, ends with it.
      const lockFirst = steps[0] !== undefined && isOwn(steps[0])
      const lock = steps.filter(isOwn)
      const rest = steps.filter((step) => !isOwn(step))
      if (lockFirst) await nft.apply(lock, signal)
      await iptables.apply(rest, signal)
      if (!lockFirst) await nft.apply(lock, signal)
    },
    concerns: (line) => iptables.concerns(line) || nft.concerns(line),
  }
}

/** A table of nftables in the family `inet` is for both; a family that the node does not have needs nothing. */
const guarded = (support: LayoutInput['families'][4]): LayoutInput['families'][4] => ({
  ...support,
  available: support.absent !== true,
})
