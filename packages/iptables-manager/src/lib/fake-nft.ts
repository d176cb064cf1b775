import type { CommandResult } from './command-runner.ts'
import type { FakeKernel, FakeNftChain } from './fake-kernel.ts'
import { parseNftRule } from './nft-syntax.ts'
import type { BaseChain } from './plan.ts'
import type { Rule } from './rule.ts'

type Json = Readonly<Record<string, unknown>>
type Tables = Map<string, Map<string, FakeNftChain>>

const refuse = (stderr: string): CommandResult => ({ exitCode: 1, stdout: '', stderr: `Error: ${stderr}\n` })
const ok = (stdout = ''): CommandResult => ({ exitCode: 0, stdout, stderr: '' })

/** `nft` with JSON commands as its argument, `list table`, `list tables`, `delete table` and `flush ruleset`. */
export function runNft(
  kernel: FakeKernel,
  args: readonly string[],
  changed: (lines: readonly string[]) => void,
): CommandResult {
  const words = args.filter((word) => !['-c', '-j', '-s'].includes(word))
  const [verb = '', object = ''] = words
  if (verb === '--version') return ok('nftables v1.0.6 (Lester Gooch #5)\n')
  if (args.includes('-c')) return ok()
  if (verb.startsWith('{')) return transact(kernel, JSON.parse(verb) as { nftables: Json[] }, changed)
  if (verb === 'list' && object === 'tables') return listTables(kernel, args.includes('-j'))
  if (verb === 'list' && object === 'table')
    return listTable(kernel, `${words.at(-2)}/${words.at(-1)}`, args.includes('-j'))
  if (verb === 'delete' && object === 'table') {
    if (!kernel.nft.delete(`${words[2]}/${words[3]}`))
      return refuse('Could not process rule: No such file or directory')
    changed([`delete table ${words[2]} ${words[3]}`])
    return ok()
  }
  if (verb === 'flush' && object === 'ruleset') {
    const tables = [
      ...kernel.nft.keys(),
      ...[...kernel.iptables.keys()].filter((key) => key.startsWith('nft/')),
    ]
    kernel.nft.clear()
    for (const key of tables) kernel.iptables.delete(key)
    changed(tables.map((key) => `delete table ${key.replaceAll('/', ' ')}`))
    return ok()
  }
  return refuse(`syntax error, unexpected ${verb}`)
}

function listTables(kernel: FakeKernel, json: boolean): CommandResult {
  const tables = [...kernel.nft.keys()].map((key) => key.split('/'))
  return json
    ? ok(JSON.stringify({ nftables: tables.map(([family, name]) => ({ table: { family, name } })) }))
    : ok(tables.map(([family, name]) => `table ${family} ${name}\n`).join(''))
}

function listTable(kernel: FakeKernel, id: string, json: boolean): CommandResult {
  const chains = kernel.nft.get(id)
  if (chains === undefined) return refuse('No such file or directory')
  const [family, table] = id.split('/')
  if (!json) return ok(printTable(id, chains))
  const items = [...chains].flatMap(([name, { base, rules }]) => [
    {
      chain: {
        family,
        table,
        name,
        ...(base && { type: base.type, hook: base.hook, prio: base.priority, policy: 'accept' }),
      },
    },
    ...rules.map(({ json, handle, packets }) => ({ rule: { ...withCounter(json, packets), handle } })),
  ])
  return ok(JSON.stringify({ nftables: [{ metainfo: {} }, { table: { family, name: table } }, ...items] }))
}

/** As `nft -s list table` prints it: for people, and for comparing. */
function printTable(id: string, chains: ReadonlyMap<string, FakeNftChain>): string {
  const blocks = [...chains].map(([name, { base, rules }]) =>
    [
      `\tchain ${name} {`,
      ...(base === undefined
        ? []
        : [`\t\ttype ${base.type} hook ${base.hook} priority ${base.priority}; policy accept;`]),
      ...rules.map(({ json }) => `\t\t${printRule(parseNftRule(json))}`),
      '\t}',
    ].join('\n'),
  )
  return `table ${id.replace('/', ' ')} {\n${blocks.join('\n\n')}\n}\n`
}

function printRule({
  source,
  destination,
  inInterface,
  protocol,
  destinationPort,
  comment,
  target,
}: Rule): string {
  const family = (destination ?? source ?? '').includes(':') ? 'ip6' : 'ip'
  const words = [
    ...(inInterface === undefined
      ? []
      : [`iifname ${inInterface.negated ? '!= ' : ''}"${inInterface.name.replace(/\+$/, '*')}"`]),
    ...(source === undefined ? [] : [`${family} saddr ${source}`]),
    ...(destination === undefined ? [] : [`${family} daddr ${destination}`]),
    ...(destinationPort === undefined ? [] : [`${protocol ?? 'tcp'} dport ${destinationPort}`]),
    'counter',
    target.kind === 'dnat'
      ? `dnat ${family} to ${family === 'ip6' ? `[${target.address}]` : target.address}:${target.port}`
      : target.kind,
    ...(comment === undefined ? [] : [`comment "${comment}"`]),
  ]
  return words.join(' ')
}

const withCounter = (rule: Json, packets: number): Json => ({
  ...rule,
  expr: (rule['expr'] as readonly Json[]).map((each) =>
    'counter' in each ? { counter: { packets, bytes: packets * 60 } } : each,
  ),
})

/** All commands or none. */
function transact(
  kernel: FakeKernel,
  { nftables }: { nftables: readonly Json[] },
  changed: (lines: readonly string[]) => void,
): CommandResult {
  const tables: Tables = new Map(
    [...kernel.nft].map(([id, chains]) => [
      id,
      new Map([...chains].map(([name, chain]) => [name, { ...chain, rules: [...chain.rules] }])),
    ]),
  )
  const lines: string[] = []
  for (const command of nftables) {
    const [verb = ''] = Object.keys(command)
    const failed = apply(kernel, tables, verb, command[verb] as Json)
    if (failed !== undefined) return refuse(`Could not process rule: ${failed}`)
    lines.push(describe(verb, command[verb] as Json))
  }
  kernel.nft.clear()
  for (const [id, chains] of tables) kernel.nft.set(id, chains)
  changed(lines)
  return ok()
}

function apply(kernel: FakeKernel, tables: Tables, verb: string, object: Json): string | undefined {
  const [kind = ''] = Object.keys(object)
  const it = object[kind] as Json
  const id = `${String(it['family'])}/${String(kind === 'table' ? it['name'] : it['table'])}`
  const chains = tables.get(id)
  if (kind === 'table') {
    if (verb === 'add') tables.set(id, chains ?? new Map())
    else if (!tables.delete(id)) return 'No such file or directory'
    return undefined
  }
  if (chains === undefined) return 'No such file or directory'
  const name = String(kind === 'chain' ? it['name'] : it['chain'])
  const chain = chains.get(name)
  if (kind === 'chain' && verb === 'add') {
    const base =
      it['hook'] === undefined
        ? undefined
        : ({ type: it['type'], hook: it['hook'], priority: it['prio'] } as BaseChain)
    if (chain !== undefined && base !== undefined && JSON.stringify(chain.base) !== JSON.stringify(base))
      return 'Operation not supported'
    if (chain === undefined) chains.set(name, { ...(base && { base }), rules: [] })
    return undefined
  }
  if (chain === undefined) return 'No such file or directory'
  if (kind === 'rule' && verb === 'add') {
    chain.rules.push({ handle: kernel.nextHandle(), json: it, packets: 0 })
    return undefined
  }
  if (kind === 'chain' && verb === 'flush') chain.rules.length = 0
  else if (kind === 'chain' && verb === 'delete') {
    if (chain.rules.length > 0) return 'Device or resource busy'
    chains.delete(name)
  } else if (kind === 'rule' && verb === 'delete') {
    const at = chain.rules.findIndex(({ handle }) => handle === it['handle'])
    if (at === -1) return 'No such file or directory'
    chain.rules.splice(at, 1)
  } else return 'Operation not supported'
  return undefined
}

function describe(verb: string, object: Json): string {
  const [kind = ''] = Object.keys(object)
  const it = object[kind] as Json
  const chain = it['chain'] ?? it['name']
  return `${verb} ${kind} ${String(it['family'])} ${String(it['table'])} ${String(chain)}`
}
