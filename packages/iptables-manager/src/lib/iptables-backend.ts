import type { FamilySupport, MonitorCommand, NetfilterBackend } from './backend.ts'
import type { CommandResult, CommandRunner } from './command-runner.ts'
import { netfilterError } from './errors.ts'
import { parseSave, ruleLine } from './iptables-syntax.ts'
import { iptablesTables } from './layout.ts'
import {
  type DesiredTable,
  type NetfilterStep,
  type Observed,
  type ObservedChain,
  retires,
  type TableId,
} from './plan.ts'
import type { ObservedRule } from './rule.ts'
import type { Family } from './settings.ts'

/** The programs of one family, as they are called on this node. */
export interface IptablesPrograms {
  readonly iptables: string
  readonly restore: string
}

export interface IptablesBackendOptions {
  readonly name: 'iptables-nft' | 'iptables-legacy'
  readonly runner: CommandRunner
  readonly programs: Readonly<Record<Family, IptablesPrograms | undefined>>
}

/**
 * `nft monitor` keeps the whole rule set in memory (24 MB beside 5,000 rules), `xtables-monitor` nothing (2 MB); but it
 * buffers its output unless told not to, and gives up when a reload of thousands of rules overruns it. Then the other
 * takes over.
 */
const MONITORS: readonly MonitorCommand[] = [
  ['stdbuf', ['-oL', 'xtables-monitor', '-e']],
  ['nft', ['monitor']],
]

/** A rule next to ours, a chain of ours, a table with either: as the one monitor prints it, or as the other does. */
const CONCERNS =
  /KUBE2IAM-| inet kube2iam | -t (?:nat -[A-Z] PREROUTING|mangle -[A-Z] (?:FORWARD|INPUT)) | ip6? (?:nat PREROUTING|mangle (?:FORWARD|INPUT)) |^delete table |DEL table: table (?:nat|mangle|kube2iam) /

/**
 * Every rule holds each module that it uses, whichever table it is in, and all of ours have a comment. There are no
 * such files where netfilter is part of the kernel image.
 */
const COUNTS = ['xt_comment', 'xt_nat', 'nf_nat', 'xt_tcpudp', 'ip_tables', 'ip6_tables'].map(
  (module) => `/sys/module/${module}/refcnt`,
)

/** Seconds that iptables itself waits for the xtables lock. */
const LOCK_WAIT = ['-w', '5']

/** iptables, of either kind: reads by `-S`, writes by `iptables-restore --noflush`, which commits a table at once. */
export function createIptablesBackend({ name, runner, programs }: IptablesBackendOptions): NetfilterBackend {
  const call = async (
    file: string,
    args: readonly string[],
    signal?: AbortSignal,
    input?: string,
  ): Promise<CommandResult> =>
    runner.run(file, args, { ...(signal && { signal }), ...(input !== undefined && { input }) })

  const list = async (
    table: TableId,
    chain: string | undefined,
    signal?: AbortSignal,
    counters: readonly string[] = ['-v'],
  ): Promise<string | undefined> => {
    const program = programs[familyOf(table)]
    if (program === undefined) return undefined
    const args = [
      ...LOCK_WAIT,
      '-t',
      tableName(table),
      '-S',
      ...(chain === undefined ? [] : [chain]),
      ...counters,
    ]
    const { exitCode, stdout, stderr } = await call(program.iptables, args, signal)
    if (exitCode === 0) return stdout
    // iptables-nft before 1.8.10 calls a chain that is not there "incompatible".
    if (
      chain !== undefined &&
      /No chain\/target\/match|is incompatible, use 'nft'|does not exist/i.test(stderr)
    )
      return undefined
    throw netfilterError({ argv: [program.iptables, ...args], exitCode, stderr })
  }

  const observeTable = async (
    table: DesiredTable,
    signal?: AbortSignal,
  ): Promise<Map<string, ObservedChain>> => {
    const chains = new Map<string, ObservedChain>()
    // The nat table of a node has thousands of service rules, of which we need two chains; mangle has few. The legacy
    // kind gets all of a table from the kernel whatever it is to print: once is less than once for each chain.
    const whole = tableName(table.id) !== 'nat' || retires(table) || name === 'iptables-legacy'
    const names = whole ? [undefined] : [...table.hooks, ...table.ownChains]
    // Of a whole table only the lines that concern us are worth parsing.
    const own = table.ownChains.join('|')
    const concerning = new RegExp(
      `^-[APN] (?:${[...table.hooks, own].join('|')})(?: |$)|-j (?:${own})(?: |$)`,
    )
    for (const text of await Promise.all(names.map((chain) => list(table.id, chain, signal)))) {
      const lines = (text ?? '').split('\n').filter((line) => concerning.test(line))
      for (const [chain, rules] of parseSave(lines.join('\n'))) chains.set(chain, { rules })
    }
    return chains
  }

  const probeFamily = async (family: Family, signal?: AbortSignal): Promise<FamilySupport> => {
    const program = programs[family]
    if (program === undefined)
      return { available: false, nat: false, reason: `ip${family === 6 ? '6' : ''}tables is not installed` }
    const tries = await Promise.all(
      (['mangle', 'nat'] as const).map((table) =>
        call(
          program.iptables,
          [...LOCK_WAIT, '-t', table, '-S', table === 'nat' ? 'PREROUTING' : 'FORWARD'],
          signal,
        ).then((result) => ({ ...result, argv: [program.iptables, '-t', table, '-S'] })),
      ),
    )
    const [mangle, nat] = tries
    if (mangle === undefined || nat === undefined) return { available: false, nat: false }
    if (mangle.exitCode !== 0) {
      const error = netfilterError(mangle)
      if (error.code !== 'IPTABLES_UNSUPPORTED') throw error
      return { available: false, nat: false, reason: error.message }
    }
    if (nat.exitCode === 0) return { available: true, nat: true }
    const error = netfilterError(nat)
    if (error.code !== 'IPTABLES_UNSUPPORTED') throw error
    return { available: true, nat: false, reason: error.message }
  }

  return {
    name,
    async probe(signal) {
      const [v4, v6] = await Promise.all([probeFamily(4, signal), probeFamily(6, signal)])
      return { 4: v4, 6: v6 }
    },
    tables: iptablesTables,
    async observe(tables, signal) {
      const chains = await Promise.all(tables.map((table) => observeTable(table, signal)))
      return new Map(tables.map((table, at) => [table.id, chains[at] ?? new Map()])) satisfies Observed
    },
    async fingerprint(tables, signal) {
      const texts = await Promise.all(
        natHooks(tables).map(async ({ table, hook }) => {
          const text = await list(table, hook, signal, [])
          return hookText(table, parseSave(text ?? '').get(hook) ?? [])
        }),
      )
      return texts.join('')
    },
    fingerprintOf: (tables, observed) =>
      natHooks(tables)
        .map(({ table, hook }) => hookText(table, observed.get(table)?.get(hook)?.rules ?? []))
        .join(''),
    ...(name === 'iptables-legacy' && { counts: COUNTS }),
    async apply(steps, signal) {
      for (const [table, own] of groupByTable(steps)) {
        const program = programs[familyOf(table)]
        if (program === undefined) continue
        const args = [...LOCK_WAIT, '--noflush']
        const { exitCode, stderr } = await call(program.restore, args, signal, restoreInput(table, own))
        if (exitCode !== 0) throw netfilterError({ argv: [program.restore, ...args], exitCode, stderr })
      }
    },
    monitors: name === 'iptables-nft' ? MONITORS : [],
    concerns: (line) => CONCERNS.test(`${line} `),
  }
}

/** What `iptables-restore --noflush` is given for one table. Declaring a chain of ours empties it in the same commit. */
export function restoreInput(table: TableId, steps: readonly NetfilterStep[]): string {
  const lines = steps.flatMap((step): string[] => {
    switch (step.op) {
      case 'replace-chain':
        return [`:${step.chain} - [0:0]`, ...step.rules.map((rule) => `-A ${step.chain} ${ruleLine(rule)}`)]
      case 'delete-rule':
        return [`-D ${step.chain} ${step.raw}`]
      case 'insert-rule':
        return [`-I ${step.chain} 1 ${ruleLine(step.rule)}`]
      case 'delete-chain':
        return [`-F ${step.chain}`, `-X ${step.chain}`]
      case 'delete-table':
        return []
      default:
        return step satisfies never
    }
  })
  return [`*${tableName(table)}`, ...lines, 'COMMIT', ''].join('\n')
}

const natHooks = (tables: readonly DesiredTable[]): { table: TableId; hook: string }[] =>
  tables
    .filter(({ id }) => tableName(id) === 'nat')
    .flatMap(({ id, jumps }) => jumps.map(({ hook }) => ({ table: id, hook })))

const hookText = (table: TableId, rules: readonly ObservedRule[]): string =>
  [table, ...rules.map(({ raw }) => raw), ''].join('\n')

function groupByTable(steps: readonly NetfilterStep[]): Map<TableId, NetfilterStep[]> {
  const groups = new Map<TableId, NetfilterStep[]>()
  for (const step of steps) groups.set(step.table, [...(groups.get(step.table) ?? []), step])
  return groups
}

const familyOf = (table: TableId): Family => (table.startsWith('ip6/') ? 6 : 4)
const tableName = (table: TableId): string => table.split('/')[1] ?? ''
