import type { ObservedRule, Rule, Target } from './rule.ts'

/** The arguments of a rule after `-A CHAIN`, in the order in which iptables itself prints them. */
export function ruleArgs(rule: Rule): string[] {
  const args: string[] = []
  if (rule.source !== undefined) args.push('-s', rule.source)
  if (rule.destination !== undefined) args.push('-d', rule.destination)
  if (rule.inInterface !== undefined) {
    if (rule.inInterface.negated) args.push('!')
    args.push('-i', rule.inInterface.name)
  }
  if (rule.protocol !== undefined) args.push('-p', rule.protocol)
  if (rule.protocol !== undefined && rule.destinationPort !== undefined) {
    args.push('-m', rule.protocol, '--dport', String(rule.destinationPort))
  }
  if (rule.comment !== undefined) args.push('-m', 'comment', '--comment', rule.comment)
  args.push(...targetArgs(rule.target))
  return args
}

function targetArgs(target: Target): string[] {
  switch (target.kind) {
    case 'dnat':
      return ['-j', 'DNAT', '--to-destination', hostPort(target.address, target.port)]
    case 'jump':
      return ['-j', target.chain]
    case 'accept':
    case 'drop':
    case 'return':
      return ['-j', target.kind.toUpperCase()]
    case 'other':
      return []
    default:
      return target satisfies never
  }
}

const hostPort = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`

/** One line for `iptables-restore`. Only values with other characters than these need quotes there. */
export const ruleLine = (rule: Rule): string => ruleArgs(rule).map(quote).join(' ')

const quote = (word: string): string =>
  /^[\w.:/+!@%=,[\]-]+$/.test(word) ? word : `"${word.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`

/** What `iptables -S` or `iptables-save` printed, chain by chain; chains without rules are there and empty. */
export function parseSave(text: string): Map<string, ObservedRule[]> {
  const chains = new Map<string, ObservedRule[]>()
  const chain = (name: string): ObservedRule[] => {
    const known = chains.get(name)
    if (known !== undefined) return known
    const rules: ObservedRule[] = []
    chains.set(name, rules)
    return rules
  }
  for (const line of text.split('\n')) {
    const declared = /^(?:-[PN] |:)(\S+)/.exec(line)
    if (declared?.[1] !== undefined) chain(declared[1])
    const appended = /^(?:\[\d+:\d+\] )?-A (\S+) ?(.*)$/.exec(line)
    if (appended?.[1] !== undefined) chain(appended[1]).push(parseRule(appended[2] ?? ''))
  }
  return chains
}

/** Parses the part of a printed rule after `-A CHAIN `. */
export function parseRule(text: string): ObservedRule {
  const counters = / ?-c (\d+) (\d+)(?= |$)/.exec(text)
  const raw = counters === null ? text : text.replace(counters[0], '').trim()
  const words = tokenize(raw)
  const rule: { -readonly [Key in keyof Rule]?: Rule[Key] } = {}
  const other: string[] = []
  let negated = false
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    const value = words[at + 1] ?? ''
    const plain = !negated
    if (word === '!') {
      negated = true
      continue
    }
    if (word === '-s' && plain) rule.source = withoutFullMask(value)
    else if (word === '-d' && plain) rule.destination = withoutFullMask(value)
    else if (word === '-i') rule.inInterface = { name: value, negated }
    else if (word === '-p' && plain) rule.protocol = value
    else if (word === '--dport' && plain && /^\d+$/.test(value)) rule.destinationPort = Number(value)
    else if (word === '--comment' && plain) rule.comment = value
    else if (word === '-m' && (value === 'comment' || value === rule.protocol)) negated = false
    else if (word === '-j') rule.target = parseTarget(value, words.slice(at + 2))
    else {
      other.push(...(negated ? ['!'] : []), word)
      negated = false
      continue
    }
    negated = false
    if (word === '-j') {
      if (rule.target?.kind === 'other') other.push(...words.slice(at))
      else if (rule.target?.kind === 'jump') other.push(...words.slice(at + 2))
      break
    }
    at += 1
  }
  return {
    ...rule,
    ...(other.length > 0 && { other: other.join(' ') }),
    target: rule.target ?? { kind: 'other' },
    raw,
    packets: Number(counters?.[1] ?? 0),
    bytes: Number(counters?.[2] ?? 0),
  }
}

function parseTarget(name: string, options: readonly string[]): Target {
  if ((name === 'ACCEPT' || name === 'DROP' || name === 'RETURN') && options.length === 0) {
    return { kind: name.toLowerCase() as 'accept' | 'drop' | 'return' }
  }
  if (name === 'DNAT' && options.length === 2 && options[0] === '--to-destination') {
    const to = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d+)$/.exec(options[1] ?? '')
    if (to !== null) return { kind: 'dnat', address: to[1] ?? to[2] ?? '', port: Number(to[3]) }
  }
  return BUILT_IN_TARGETS.has(name) ? { kind: 'other' } : { kind: 'jump', chain: name }
}

/** Targets that are no chains: of these a rule with options stays opaque. */
const BUILT_IN_TARGETS = new Set(
  (
    'ACCEPT AUDIT CHECKSUM CLASSIFY CONNMARK CONNSECMARK CT DNAT DROP DSCP HL IDLETIMER LOG MARK MASQUERADE ' +
    'NETMAP NFLOG NFQUEUE NOTRACK QUEUE REDIRECT REJECT RETURN SECMARK SET SNAT SYNPROXY TCPMSS TEE TOS TPROXY TRACE TTL'
  ).split(' '),
)

const withoutFullMask = (text: string): string => text.replace(text.includes(':') ? /\/128$/ : /\/32$/, '')

/** Words as iptables prints and `iptables-restore` reads them: double quotes group, backslash escapes inside them. */
export function tokenize(text: string): string[] {
  const words: string[] = []
  for (const match of text.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)) {
    words.push(match[1] === undefined ? (match[2] ?? '') : match[1].replaceAll(/\\(.)/g, '$1'))
  }
  return words
}
