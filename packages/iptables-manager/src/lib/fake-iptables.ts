import type { CommandResult } from './command-runner.ts'
import {
  BUILT_IN,
  type FakeKernel,
  type FakeKind,
  type FakeRule,
  type FakeTable,
  storedRule,
} from './fake-kernel.ts'
import { tokenize } from './iptables-syntax.ts'
import type { Family } from './settings.ts'

const ok = (stdout = ''): CommandResult => ({ exitCode: 0, stdout, stderr: '' })
const refuse = (exitCode: number, stderr: string): CommandResult => ({
  exitCode,
  stdout: '',
  stderr: `${stderr}\n`,
})

/** What iptables itself says; the texts are those of 1.8. */
class Refusal extends Error {
  readonly exitCode: number
  constructor(exitCode: number, message: string) {
    super(message)
    this.exitCode = exitCode
  }
}

export interface FakeIptables {
  readonly kernel: FakeKernel
  readonly kind: FakeKind
  readonly family: Family
  /** Called with the lines that a monitor would print. */
  readonly changed: (lines: readonly string[]) => void
}

const program = ({ family }: FakeIptables): string => (family === 6 ? 'ip6tables' : 'iptables')

/** `iptables [-w N] [-t TABLE] COMMAND …`, of which the verbs that rule managers use. */
export function runIptables(fake: FakeIptables, args: readonly string[]): CommandResult {
  const words = [...args]
  let name = 'filter'
  let verbose = false
  const rest: string[] = []
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    if (word === '-w') at += /^\d+$/.test(words[at + 1] ?? '') ? 1 : 0
    else if (word === '-t') {
      name = words[at + 1] ?? ''
      at += 1
    } else if (word === '-v') verbose = true
    else rest.push(word)
  }
  const [verb = '', ...operands] = rest
  if (verb === '--version')
    return ok(`${program(fake)} v1.8.9 (${fake.kind === 'nft' ? 'nf_tables' : 'legacy'})\n`)
  try {
    const table = tableOf(fake, name)
    if (verb === '-S' || verb === '--list-rules') return ok(list(fake, table, operands[0], verbose))
    if (verb === '-C') {
      const chain = chainOf(fake, table, operands[0] ?? '')
      const { text } = storedRule(operands.slice(1))
      if (!chain.some((rule) => rule.text === text))
        throw new Refusal(1, `${program(fake)}: Bad rule (does a matching rule exist in that chain?).`)
      return ok()
    }
    const copy = cloneTable(table)
    const lines = change(fake, copy, name, verb, operands)
    commit(table, copy)
    fake.changed(lines)
    return ok()
  } catch (error) {
    if (error instanceof Refusal) return refuse(error.exitCode, error.message)
    throw error
  }
}

/** `iptables-save [-t TABLE]`: what there is, in the tables that were ever used. */
export function runIptablesSave(
  { kernel, kind, family }: FakeIptables,
  args: readonly string[],
): CommandResult {
  const only = args.includes('-t') ? args[args.indexOf('-t') + 1] : undefined
  const blocks = Object.keys(BUILT_IN).flatMap((name) => {
    const table = kernel.iptables.get(`${kind}/${family}/${name}`)
    if (table === undefined || (only !== undefined && only !== name)) return []
    const builtIn = BUILT_IN[name] ?? []
    return [
      `*${name}`,
      ...[...table.chains.keys()].map(
        (chain) => `:${chain} ${builtIn.includes(chain) ? 'ACCEPT' : '-'} [0:0]`,
      ),
      ...[...table.chains].flatMap(([chain, rules]) => rules.map(({ text }) => `-A ${chain} ${text}`)),
      'COMMIT',
    ]
  })
  return ok(blocks.length === 0 ? '' : `${blocks.join('\n')}\n`)
}

/** `iptables-restore [--noflush]`: each table all or nothing. */
export function runIptablesRestore(
  fake: FakeIptables,
  args: readonly string[],
  input: string,
): CommandResult {
  const keep = args.includes('--noflush') || args.includes('-n')
  let name = ''
  let table: FakeTable | undefined
  let lines: string[] = []
  for (const [at, line] of input.split('\n').entries()) {
    try {
      if (line === '' || line.startsWith('#')) continue
      if (line.startsWith('*')) {
        name = line.slice(1)
        table = keep
          ? cloneTable(tableOf(fake, name))
          : { chains: new Map((BUILT_IN[name] ?? []).map((chain) => [chain, []])) }
        lines = keep
          ? []
          : [...tableOf(fake, name).chains].flatMap(([chain, rules]) =>
              rules.map(() => `delete rule ${familyName(fake)} ${name} ${chain} handle 1`),
            )
      } else if (table === undefined) throw new Refusal(2, 'no table')
      else if (line === 'COMMIT') {
        requireTargets(fake, table)
        commit(tableOf(fake, name), table)
        fake.changed(lines)
        table = undefined
      } else if (line.startsWith(':')) {
        const chain = line.slice(1).split(' ')[0] ?? ''
        const isBuiltIn = BUILT_IN[name]?.includes(chain) === true
        if (!isBuiltIn || !keep) table.chains.set(chain, [])
        lines.push(`add chain ${familyName(fake)} ${name} ${chain}`)
      } else {
        const [verb = '', ...operands] = tokenize(line)
        lines.push(...change(fake, table, name, verb, operands, true))
      }
    } catch (error) {
      if (error instanceof Refusal)
        return refuse(error.exitCode, `${error.message}\n${program(fake)}-restore: line ${at + 1} failed`)
      throw error
    }
  }
  return ok()
}

function change(
  fake: FakeIptables,
  table: FakeTable,
  name: string,
  verb: string,
  operands: readonly string[],
  later = false,
): string[] {
  const [chain = '', ...words] = operands
  const where = `${familyName(fake)} ${name} ${chain}`
  const isBuiltIn = BUILT_IN[name]?.includes(chain) === true
  switch (verb) {
    case '-N':
      if (table.chains.has(chain)) throw new Refusal(1, `${program(fake)}: Chain already exists.`)
      table.chains.set(chain, [])
      return [`add chain ${where}`]
    case '-F': {
      const names = operands.length === 0 ? [...table.chains.keys()] : [chain]
      for (const each of names) {
        chainOf(fake, table, each)
        table.chains.set(each, [])
      }
      return names.map((each) => `delete rule ${familyName(fake)} ${name} ${each} handle 1`)
    }
    case '-X': {
      const names =
        operands.length === 0
          ? [...table.chains.keys()].filter((each) => BUILT_IN[name]?.includes(each) !== true)
          : [chain]
      for (const each of names) {
        const rules = chainOf(fake, table, each)
        const jumped = [...table.chains.values()].some((all) =>
          all.some(({ rule }) => rule.target.kind === 'jump' && rule.target.chain === each),
        )
        if (isBuiltIn || rules.length > 0)
          throw new Refusal(fake.kind === 'nft' ? 4 : 1, `${program(fake)}: Directory not empty.`)
        if (jumped) throw new Refusal(fake.kind === 'nft' ? 4 : 1, `${program(fake)}: Too many links.`)
        table.chains.delete(each)
      }
      return names.map((each) => `delete chain ${familyName(fake)} ${name} ${each}`)
    }
    case '-A':
    case '-I': {
      const rules = chainOf(fake, table, chain)
      const numbered = verb === '-I' && /^\d+$/.test(words[0] ?? '')
      const position = verb === '-A' ? rules.length : numbered ? Number(words[0]) - 1 : 0
      if (position > rules.length || position < 0)
        throw new Refusal(1, `${program(fake)}: Index of insertion too big.`)
      const rule = storedRule(numbered ? words.slice(1) : words)
      checkRule(fake, name, rule)
      if (!later) requireTarget(fake, table, rule)
      rules.splice(position, 0, rule)
      return [`add rule ${where} ${rule.text}`]
    }
    case '-D': {
      const rules = chainOf(fake, table, chain)
      const at =
        /^\d+$/.test(words[0] ?? '') && words.length === 1
          ? Number(words[0]) - 1
          : rules.findIndex(({ text }) => text === storedRule(words).text)
      if (rules[at] === undefined)
        throw new Refusal(1, `${program(fake)}: Bad rule (does a matching rule exist in that chain?).`)
      rules.splice(at, 1)
      return [`delete rule ${where} handle 1`]
    }
    default:
      throw new Refusal(2, `${program(fake)}: unknown option "${verb}"`)
  }
}

function checkRule(fake: FakeIptables, name: string, { rule }: FakeRule): void {
  if (rule.inInterface !== undefined && rule.inInterface.name.length > 15) {
    throw new Refusal(
      2,
      `${program(fake)}: interface name \`${rule.inInterface.name}' must be shorter than 16 characters`,
    )
  }
  if (rule.target.kind === 'dnat' && name !== 'nat') {
    throw new Refusal(
      4,
      `${program(fake)}:  RULE_APPEND failed (Invalid argument): DNAT is valid in the nat table only`,
    )
  }
  const address = rule.destination ?? rule.source
  if (address !== undefined && address.includes(':') !== (fake.family === 6)) {
    throw new Refusal(2, `${program(fake)}: host/network \`${address}' not found`)
  }
}

function requireTargets(fake: FakeIptables, table: FakeTable): void {
  for (const rules of table.chains.values()) for (const rule of rules) requireTarget(fake, table, rule)
}

function requireTarget(fake: FakeIptables, table: FakeTable, { rule }: FakeRule): void {
  if (rule.target.kind === 'jump' && !table.chains.has(rule.target.chain)) {
    throw new Refusal(
      2,
      `${program(fake)}: Couldn't load target \`${rule.target.chain}':No such file or directory`,
    )
  }
}

function chainOf(fake: FakeIptables, table: FakeTable, name: string): FakeRule[] {
  const chain = table.chains.get(name)
  if (chain === undefined) throw new Refusal(1, `${program(fake)}: No chain/target/match by that name.`)
  return chain
}

function tableOf({ kernel, kind, family }: FakeIptables, name: string): FakeTable {
  if (BUILT_IN[name] === undefined)
    throw new Refusal(3, `can't initialize iptables table \`${name}': Table does not exist`)
  return kernel.table(kind, family, name)
}

function list(fake: FakeIptables, table: FakeTable, only: string | undefined, verbose: boolean): string {
  const names = only === undefined ? [...table.chains.keys()] : [only]
  for (const name of names) chainOf(fake, table, name)
  const isBuiltIn = (name: string): boolean => /^(PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING)$/.test(name)
  const counters = (packets: number): string => (verbose ? `-c ${packets} ${packets * 60} ` : '')
  const lines = [
    ...names.map((name) => (isBuiltIn(name) ? `-P ${name} ACCEPT${verbose ? ' -c 0 0' : ''}` : `-N ${name}`)),
    ...names.flatMap((name) =>
      (table.chains.get(name) ?? []).map(({ text, packets }) => {
        const at = text.lastIndexOf('-j ')
        const counted =
          at === -1
            ? `${text} ${counters(packets)}`
            : `${text.slice(0, at)}${counters(packets)}${text.slice(at)}`
        return `-A ${name} ${counted}`
      }),
    ),
  ]
  return `${lines.join('\n')}\n`
}

const familyName = ({ family }: FakeIptables): string => (family === 6 ? 'ip6' : 'ip')

const cloneTable = (table: FakeTable): FakeTable => ({
  chains: new Map([...table.chains].map(([name, rules]) => [name, [...rules]])),
})

function commit(table: FakeTable, changed: FakeTable): void {
  table.chains.clear()
  for (const [name, rules] of changed.chains) table.chains.set(name, rules)
}
