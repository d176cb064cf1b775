import type { BaseChain, NetfilterStep, ObservedChain, TableId } from './plan.ts'
import type { InterfaceMatch, ObservedRule, Rule, Target } from './rule.ts'

// The JSON of libnftables: man libnftables-json(5). Of what is read, only our own table's vocabulary is understood;
// everything else ends in `other`, so that it never equals a rule of ours.

type Json = Readonly<Record<string, unknown>>

/** The commands that make the steps true, in one transaction. */
export function nftCommands(steps: readonly NetfilterStep[]): { readonly nftables: readonly Json[] } {
  const commands = steps.flatMap((step): Json[] => {
    const [family, table] = splitTable(step.table)
    switch (step.op) {
      case 'replace-chain': {
        const chain = { family, table, name: step.chain }
        const base = step.base && {
          type: step.base.type,
          hook: step.base.hook,
          prio: step.base.priority,
          policy: 'accept',
        }
        return [
          { add: { table: { family, name: table } } },
          ...(step.recreate ? [{ flush: { chain } }, { delete: { chain } }] : []),
          { add: { chain: { ...chain, ...base } } },
          { flush: { chain } },
          ...step.rules.map((rule) => addRule(family, table, step.chain, rule)),
        ]
      }
      case 'insert-rule':
        return [addRule(family, table, step.chain, step.rule)]
      case 'delete-rule':
        return [{ delete: { rule: { family, table, chain: step.chain, handle: Number(step.raw) } } }]
      case 'delete-chain':
        return [
          { flush: { chain: { family, table, name: step.chain } } },
          { delete: { chain: { family, table, name: step.chain } } },
        ]
      case 'delete-table':
        // Adding what may be gone already makes the deletion succeed either way.
        return [{ add: { table: { family, name: table } } }, { delete: { table: { family, name: table } } }]
      default:
        return step satisfies never
    }
  })
  return { nftables: commands }
}

const splitTable = (id: TableId): [string, string] => {
  const [family = '', table = ''] = id.split('/')
  return [family, table]
}

const addRule = (family: string, table: string, chain: string, rule: Rule): Json => ({
  add: {
    rule: {
      family,
      table,
      chain,
      ...(rule.comment !== undefined && { comment: rule.comment }),
      expr: ruleExpressions(rule),
    },
  },
})

function ruleExpressions(rule: Rule): Json[] {
  const protocol = (rule.destination ?? rule.source ?? '').includes(':') ? 'ip6' : 'ip'
  return [
    ...(rule.inInterface === undefined
      ? []
      : [match({ meta: { key: 'iifname' } }, nftName(rule.inInterface), rule.inInterface.negated)]),
    ...(rule.source === undefined ? [] : [match(payload(protocol, 'saddr'), nftAddress(rule.source))]),
    ...(rule.destination === undefined
      ? []
      : [match(payload(protocol, 'daddr'), nftAddress(rule.destination))]),
    ...(rule.protocol === undefined || rule.destinationPort === undefined
      ? []
      : [match(payload(rule.protocol, 'dport'), rule.destinationPort)]),
    { counter: { packets: 0, bytes: 0 } },
    verdict(rule.target),
  ]
}

const match = (left: Json, right: unknown, negated = false): Json => ({
  match: { op: negated ? '!=' : '==', left, right },
})
const payload = (protocol: string, field: string): Json => ({ payload: { protocol, field } })
const nftName = ({ name }: InterfaceMatch): string => (name.endsWith('+') ? `${name.slice(0, -1)}*` : name)

function nftAddress(text: string): unknown {
  const [addr, len] = text.split('/')
  return len === undefined ? addr : { prefix: { addr, len: Number(len) } }
}

function verdict(target: Target): Json {
  switch (target.kind) {
    case 'dnat':
      return {
        dnat: {
          family: target.address.includes(':') ? 'ip6' : 'ip',
          addr: target.address,
          port: target.port,
        },
      }
    case 'jump':
      return { jump: { target: target.chain } }
    case 'accept':
    case 'drop':
    case 'return':
      return { [target.kind]: null }
    case 'other':
      return {}
    default:
      return target satisfies never
  }
}

/** Reads `nft -j list table`: the chains of the table with their rules. */
export function parseNftTable(text: string): Map<string, ObservedChain> {
  const chains = new Map<string, { base?: BaseChain; rules: ObservedRule[] }>()
  const parsed = JSON.parse(text) as { nftables?: readonly Json[] }
  for (const item of parsed.nftables ?? []) {
    const chain = item['chain'] as Json | undefined
    if (chain !== undefined) {
      const base = parseBase(chain)
      chains.set(String(chain['name']), { ...(base && { base }), rules: [] })
    }
    const rule = item['rule'] as Json | undefined
    if (rule !== undefined) chains.get(String(rule['chain']))?.rules.push(parseNftRule(rule))
  }
  return chains
}

function parseBase(chain: Json): BaseChain | undefined {
  const { type, hook, prio } = chain
  if (typeof prio !== 'number' || (type !== 'nat' && type !== 'filter')) return undefined
  return hook === 'prerouting' || hook === 'input' || hook === 'forward'
    ? { type, hook, priority: prio }
    : undefined
}

/** Reads one rule object. `raw` is its handle, by which nft deletes. */
export function parseNftRule(json: Json): ObservedRule {
  const rule: { -readonly [Key in keyof Rule]?: Rule[Key] } = {}
  const other: string[] = []
  let packets = 0
  let bytes = 0
  for (const expression of (json['expr'] as readonly Json[] | undefined) ?? []) {
    const counter = expression['counter'] as { packets?: number; bytes?: number } | null | undefined
    const target = parseVerdict(expression)
    if (counter !== undefined) {
      packets += counter?.packets ?? 0
      bytes += counter?.bytes ?? 0
    } else if (target !== undefined && rule.target === undefined) rule.target = target
    else if (!readMatch(rule, expression['match'] as Json | undefined)) other.push(JSON.stringify(expression))
  }
  return {
    ...rule,
    ...(typeof json['comment'] === 'string' && { comment: json['comment'] }),
    ...(other.length > 0 && { other: other.join(' ') }),
    target: rule.target ?? { kind: 'other' },
    raw: String(json['handle']),
    packets,
    bytes,
  }
}

function readMatch(
  rule: { -readonly [Key in keyof Rule]?: Rule[Key] },
  expression: Json | undefined,
): boolean {
  if (expression === undefined) return false
  const { op, right } = expression
  const left = expression['left'] as
    | { meta?: { key?: string }; payload?: { protocol?: string; field?: string } }
    | undefined
  if (left?.meta?.key === 'iifname' && typeof right === 'string' && (op === '==' || op === '!=')) {
    rule.inInterface = { name: right.endsWith('*') ? `${right.slice(0, -1)}+` : right, negated: op === '!=' }
    return true
  }
  if (op !== '==' || left?.payload === undefined) return false
  const { protocol, field } = left.payload
  const address = parseAddress(right)
  if (field === 'saddr' && address !== undefined) rule.source = address
  else if (field === 'daddr' && address !== undefined) rule.destination = address
  else if (field === 'dport' && typeof right === 'number' && protocol !== undefined) {
    rule.protocol = protocol
    rule.destinationPort = right
  } else return false
  return true
}

function parseAddress(right: unknown): string | undefined {
  if (typeof right === 'string') return right
  const prefix = (right as { prefix?: { addr?: string; len?: number } } | null)?.prefix
  return prefix?.addr === undefined || prefix.len === undefined ? undefined : `${prefix.addr}/${prefix.len}`
}

function parseVerdict(expression: Json): Target | undefined {
  for (const kind of ['accept', 'drop', 'return'] as const) if (kind in expression) return { kind }
  const jump = expression['jump'] as { target?: string } | undefined
  if (jump?.target !== undefined) return { kind: 'jump', chain: jump.target }
  const dnat = expression['dnat'] as { addr?: unknown; port?: unknown } | undefined
  if (dnat === undefined || Object.keys(dnat).some((key) => !['addr', 'port', 'family'].includes(key)))
    return undefined
  return typeof dnat.addr === 'string' && typeof dnat.port === 'number'
    ? { kind: 'dnat', address: dnat.addr, port: dnat.port }
    : undefined
}
