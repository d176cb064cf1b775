import { type IpAddress, isCoded, parseCidr } from '@kube2iam-ts/core'
import type { RoutingStep } from './routing-rules.ts'
import { compareOwners, type ObservedRule, type Owner, ownerOf, type Rule, ruleMeaning } from './rule.ts'

/** A table of the kernel: `inet/kube2iam` is all ours, the others are shared with the rest of the node. */
export type TableId = 'ip/nat' | 'ip/mangle' | 'ip6/nat' | 'ip6/mangle' | 'inet/kube2iam'

/** How an nftables chain is hooked into the kernel. iptables has jumps for that. */
export interface BaseChain {
  readonly type: 'nat' | 'filter'
  readonly hook: 'prerouting' | 'input' | 'forward'
  readonly priority: number
}

export interface DesiredChain {
  readonly name: string
  readonly base?: BaseChain
  readonly rules: readonly Rule[]
}

/** A rule at the head of a chain that others use too. */
export interface DesiredJump {
  readonly hook: string
  readonly rule: Rule
}

export interface DesiredTable {
  readonly id: TableId
  readonly chains: readonly DesiredChain[]
  readonly jumps: readonly DesiredJump[]
  /** Chains of ours that this table might have: those that are not desired go. */
  readonly ownChains: readonly string[]
  /** Built-in chains in which a jump of ours might be. */
  readonly hooks: readonly string[]
  /** The addresses that pods' packets are caught on their way to. */
  readonly addresses: readonly IpAddress[]
}

export interface ObservedChain {
  readonly base?: BaseChain
  readonly rules: readonly ObservedRule[]
}

/** What is there: our chains and the chains that hook them, nothing else of the node. */
export type Observed = ReadonlyMap<TableId, ReadonlyMap<string, ObservedChain>>

/** One change of netfilter. All steps of a table are applied in one atomic commit. */
export type NetfilterStep =
  | {
      readonly op: 'replace-chain'
      readonly table: TableId
      readonly chain: string
      readonly base?: BaseChain
      readonly rules: readonly Rule[]
      readonly recreate: boolean
    }
  | { readonly op: 'delete-rule'; readonly table: TableId; readonly chain: string; readonly raw: string }
  | { readonly op: 'insert-rule'; readonly table: TableId; readonly chain: string; readonly rule: Rule }
  | { readonly op: 'delete-chain'; readonly table: TableId; readonly chain: string }
  | { readonly op: 'delete-table'; readonly table: TableId }

/** One change of the node. */
export type Step = NetfilterStep | RoutingStep

export interface Plan<Change = Step> {
  readonly steps: readonly Change[]
  /** A later instance has other rules in place, whole: nothing is done, it has the say. */
  readonly yieldedTo?: Owner
}

/** An instance that has no say although its start is later: it is dead, or its clock was wrong. */
export type HasNoSay = (other: Owner) => boolean

/**
 * The steps from what is there to what must be. Applying them and planning again gives no step. Nobody yields to an
 * instance that `hasNoSay`, and rules that it wrote are signed anew.
 */
export function plan(
  desired: readonly DesiredTable[],
  observed: Observed,
  owner: Owner,
  hasNoSay: HasNoSay = () => false,
): Plan<NetfilterStep> {
  const keeps: Keeps = (rule) => isSignedByEqual(rule, owner, hasNoSay)
  const steps = desired.flatMap((table) => planTable(table, observed.get(table.id) ?? new Map(), keeps))
  const later = steps.length === 0 ? undefined : laterOwner(desired, observed, owner, hasNoSay)
  return later === undefined ? { steps } : { steps: [], yieldedTo: later }
}

/** The same tables with nothing of ours desired in them. */
export const emptied = (tables: readonly DesiredTable[]): DesiredTable[] =>
  tables.map((table) => ({ ...table, chains: [], jumps: [] }))

/** Whether a chain of ours has to go, for which whatever jumps to it has to go first, wherever it is. */
export const retires = ({ chains, ownChains }: DesiredTable): boolean =>
  ownChains.some((name) => !chains.some((chain) => chain.name === name))

/** The steps that leave nothing of ours in these tables, of which `observed` holds all that jumps to us. */
export function planRemoval(
  tables: readonly DesiredTable[],
  observed: Observed,
  owner: Owner,
): NetfilterStep[] {
  return emptied(tables)
    .reverse()
    .flatMap((table): NetfilterStep[] => {
      const chains = observed.get(table.id)
      if (chains === undefined) return []
      if (table.id === 'inet/kube2iam') return [{ op: 'delete-table', table: table.id }]
      return planTable(table, chains, (rule) => isSignedByEqual(rule, owner, () => false))
    })
}

function planTable(
  table: DesiredTable,
  chains: ReadonlyMap<string, ObservedChain>,
  keeps: Keeps,
): NetfilterStep[] {
  const id = table.id
  const replace = table.chains
    .filter((chain) => !isInPlace(chain, chains.get(chain.name), keeps))
    .map((chain): NetfilterStep => {
      const there = chains.get(chain.name)
      const recreate = there !== undefined && !sameBase(chain.base, there.base)
      return {
        op: 'replace-chain',
        table: id,
        chain: chain.name,
        rules: chain.rules,
        recreate,
        ...(chain.base && { base: chain.base }),
      }
    })
  const strays = [...chains.keys()].filter(
    (name) => !table.hooks.includes(name) && !table.ownChains.includes(name),
  )
  const jumps = [...table.hooks, ...strays].flatMap((hook) =>
    planHook(table, hook, chains.get(hook)?.rules ?? [], keeps),
  )
  const wanted = new Set(table.chains.map(({ name }) => name))
  const gone = table.ownChains
    .filter((name) => chains.has(name) && !wanted.has(name))
    .map((chain): NetfilterStep => ({ op: 'delete-chain', table: id, chain }))
  return [...replace, ...jumps, ...gone]
}

function isInPlace(chain: DesiredChain, there: ObservedChain | undefined, keeps: Keeps): boolean {
  return (
    there !== undefined &&
    sameBase(chain.base, there.base) &&
    chain.rules.length === there.rules.length &&
    chain.rules.every((rule, at) => {
      const other = there.rules[at]
      return other !== undefined && ruleMeaning(rule) === ruleMeaning(other) && keeps(other)
    })
  )
}

const sameBase = (a: BaseChain | undefined, b: BaseChain | undefined): boolean =>
  a?.type === b?.type && a?.hook === b?.hook && a?.priority === b?.priority

/** Whether a rule that says what it must may stay as it is signed. */
type Keeps = (rule: Rule) => boolean

/** A rule that a later instance wrote may stay; one that an earlier instance wrote is signed anew. */
function isSignedByEqual(rule: Rule, owner: Owner, hasNoSay: HasNoSay): boolean {
  const writer = ownerOf(rule)
  return writer !== undefined && compareOwners(writer, owner) >= 0 && !hasNoSay(writer)
}

/** In each hook exactly one jump of ours, before any rule that might take the packet first. */
function planHook(
  table: DesiredTable,
  hook: string,
  rules: readonly ObservedRule[],
  keeps: Keeps,
): NetfilterStep[] {
  const ours = rules.filter((rule) => isOurJump(table, rule))
  const jump = table.jumps.find((candidate) => candidate.hook === hook)?.rule
  const first = ours[0]
  const keep =
    jump !== undefined &&
    first !== undefined &&
    ruleMeaning(jump) === ruleMeaning(first) &&
    keeps(first) &&
    !rules.slice(0, rules.indexOf(first)).some((rule) => mayTake(rule, table))
  // Deleting by what a rule says deletes the first that says it, so of equal jumps all go and one comes back.
  const stale = keep ? ours.slice(1).filter((rule) => rule.raw !== first.raw) : ours
  const twins = keep ? ours.slice(1).filter((rule) => rule.raw === first.raw) : []
  const again = !keep || twins.length > 0
  const remove = twins.length > 0 ? ours : stale
  return [
    ...remove.map(
      (rule): NetfilterStep => ({ op: 'delete-rule', table: table.id, chain: hook, raw: rule.raw }),
    ),
    ...(jump !== undefined && again
      ? [{ op: 'insert-rule', table: table.id, chain: hook, rule: jump } satisfies NetfilterStep]
      : []),
  ]
}

const isOurJump = (table: DesiredTable, rule: Rule): boolean =>
  rule.target.kind === 'jump' && table.ownChains.includes(rule.target.chain)

/**
 * Whether a rule ahead of our jump might decide a metadata packet's fate. A Service whose external IP is the metadata
 * address makes KUBE-SERVICES take it (CVE-2020-8554), so we stay ahead of that. Calico's Felix insists on being the
 * first rule and puts itself back; its nat and mangle chains only serve floating IPs and accept nothing for others, so
 * we do not fight over the place.
 */
export function mayTake(rule: Rule, table: Pick<DesiredTable, 'id' | 'addresses'>): boolean {
  const { target, other = '' } = rule
  if (target.kind === 'other' && !/(^| )-[jg] /.test(other)) return false
  if (target.kind === 'other' && GOES_ON.test(other)) return false
  if (target.kind === 'jump' && target.chain.startsWith('cali-')) return false
  if (table.id.endsWith('/nat') && !['tcp', 'all'].includes(rule.protocol ?? 'all')) return false
  return (
    rule.destination === undefined ||
    table.addresses.some((address) => covers(rule.destination ?? '', address))
  )
}

/** Targets after which the next rule is looked at. */
const GOES_ON = /(^| )-j (AUDIT|CONNMARK|CT|DSCP|HL|LOG|MARK|NFLOG|SET|TCPMSS|TEE|TOS|TRACE|TTL)( |$)/

function covers(destination: string, address: IpAddress): boolean {
  try {
    return parseCidr(destination).contains(address)
  } catch (error) {
    if (isCoded(error, 'ADDRESS_INVALID')) return true
    throw error
  }
}

/** Whose rules are there: the instance that started last; `undefined` where none of ours is. */
export function latestOwner(observed: Observed): Owner | undefined {
  return [...observed.values()]
    .flatMap((chains) => [...chains.values()].flatMap(({ rules }) => rules.map(ownerOf)))
    .reduce(
      (latest, writer) =>
        latest !== undefined && (writer === undefined || compareOwners(latest, writer) > 0) ? latest : writer,
      undefined,
    )
}

/** The later instance whose rules are whole: hooked chains, a guard among them. */
function laterOwner(
  desired: readonly DesiredTable[],
  observed: Observed,
  owner: Owner,
  hasNoSay: HasNoSay,
): Owner | undefined {
  let latest: Owner | undefined
  let redirects = false
  let guards = false
  for (const table of desired) {
    const chains = observed.get(table.id)
    for (const name of table.ownChains) {
      const chain = chains?.get(name)
      const writer = chain?.rules.map(ownerOf).find((candidate) => candidate !== undefined)
      if (chain === undefined || writer === undefined || compareOwners(writer, owner) <= 0) continue
      if (hasNoSay(writer)) continue
      const hooked =
        chain.base !== undefined ||
        table.jumps.length === 0 ||
        table.hooks.every((hook) =>
          chains?.get(hook)?.rules.some((rule) => rule.target.kind === 'jump' && rule.target.chain === name),
        )
      if (!hooked) return undefined
      if (latest === undefined || compareOwners(writer, latest) > 0) latest = writer
      if (chain.rules.some((rule) => rule.target.kind === 'dnat')) redirects = true
      if (chain.rules.some((rule) => rule.target.kind === 'drop')) guards = true
    }
  }
  return redirects && guards ? latest : undefined
}

/** What is told of steps. */
export const summaryOf = (steps: readonly Step[]): { steps: number; tables: string[] } => ({
  steps: steps.length,
  tables: [...new Set(steps.map(({ table }) => table))],
})
