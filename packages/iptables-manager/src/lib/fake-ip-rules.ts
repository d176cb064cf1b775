import { parseCidr, parseIpAddress } from '@kube2iam-ts/core'
import type { CommandResult } from './command-runner.ts'
import type { Family } from './settings.ts'

/** A rule of the routing policy, with the words that it was made of. */
export interface FakeRoutingRule {
  readonly preference: number
  readonly from?: string
  readonly to?: string
  readonly inInterface?: string
  /** `lookup main`, `goto 8`, `blackhole`, `nop`. */
  readonly action: string
  /** A number, or a name that iproute2 has for it; absent for the kernel's own. */
  readonly protocol?: string
}

/** The routing policy of one namespace, by family. */
export type FakeRoutingPolicy = Readonly<Record<Family, FakeRoutingRule[]>>

export const createFakeRoutingPolicy = (): FakeRoutingPolicy => ({
  4: [0, 32_766, 32_767].map(kernelRule),
  6: [0, 32_766].map(kernelRule),
})

const TABLES: Readonly<Record<number, string>> = { 0: 'local', 32_766: 'main', 32_767: 'default' }
const kernelRule = (preference: number): FakeRoutingRule => ({
  preference,
  action: `lookup ${TABLES[preference] ?? 'main'}`,
})

const refuse = (stderr: string): CommandResult => ({ exitCode: 2, stdout: '', stderr: `${stderr}\n` })
const ok = (stdout = ''): CommandResult => ({ exitCode: 0, stdout, stderr: '' })

/** `rule show`, `rule add`, `rule del` and `rule flush` of one family, by their words. `changed` gets what a monitor prints. */
export function runIpRule(
  policy: FakeRoutingPolicy,
  family: Family,
  words: readonly string[],
  changed: (lines: readonly string[]) => void,
): CommandResult {
  const rules = policy[family]
  const [verb = 'show', ...rest] = words.slice(1)
  if (verb === 'show') return ok(`${JSON.stringify(rules.map(asJson))}\n`)
  const wanted = parseWords(rest)
  if (verb === 'flush') {
    const gone = rules.filter(
      ({ preference, protocol }) =>
        preference !== 0 && (wanted.protocol === undefined || wanted.protocol === protocol),
    )
    for (const rule of gone) rules.splice(rules.indexOf(rule), 1)
    changed(gone.map((rule) => `Deleted ${asLine(rule)}`))
    return ok()
  }
  if (verb === 'add') {
    // The kernel's own way to choose: the number below the first rule after the local table's.
    const preference = wanted.preference ?? Math.max(0, (rules[1]?.preference ?? 1) - 1)
    const rule: FakeRoutingRule = { ...wanted, action: wanted.action ?? 'lookup main', preference }
    if (rules.some((other) => asLine(other) === asLine(rule))) return refuse('RTNETLINK answers: File exists')
    const target = /^goto (\d+)$/.exec(rule.action)?.[1]
    if (target !== undefined && Number(target) <= preference)
      return refuse('RTNETLINK answers: Invalid argument')
    const behind = rules.findIndex((other) => other.preference > preference)
    rules.splice(behind === -1 ? rules.length : behind, 0, rule)
    changed([asLine(rule)])
    return ok()
  }
  // What a deletion does not say it does not compare.
  const at = rules.findIndex((rule) =>
    (Object.keys(wanted) as (keyof FakeRoutingRule)[]).every((key) => wanted[key] === rule[key]),
  )
  const [gone] = at === -1 ? [] : rules.splice(at, 1)
  if (gone === undefined) return refuse('RTNETLINK answers: No such file or directory')
  changed([`Deleted ${asLine(gone)}`])
  return ok()
}

/** Whether the routing policy stops a packet. What it looks up in a table is taken to be routed. */
export function isStopped(
  rules: readonly FakeRoutingRule[],
  packet: { readonly source: string; readonly destination: string; readonly inInterface: string },
): boolean {
  let from = 0
  for (const rule of rules) {
    if (rule.preference < from || rule.action === 'lookup local') continue
    if (rule.inInterface !== undefined && rule.inInterface !== packet.inInterface) continue
    if (rule.from !== undefined && !covers(rule.from, packet.source)) continue
    if (rule.to !== undefined && !covers(rule.to, packet.destination)) continue
    const target = /^goto (\d+)$/.exec(rule.action)?.[1]
    // A goto whose target is not there goes on with the next rule, as the kernel does.
    if (target !== undefined && rules.some(({ preference }) => preference === Number(target)))
      from = Number(target)
    else if (rule.action === 'blackhole') return true
    else if (rule.action.startsWith('lookup ')) return false
  }
  return false
}

const covers = (prefix: string, address: string): boolean =>
  parseCidr(prefix).contains(parseIpAddress(address))

type Words = { -readonly [Key in keyof FakeRoutingRule]?: FakeRoutingRule[Key] }

function parseWords(words: readonly string[]): Words {
  const rule: Words = {}
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    const value = words[at + 1] ?? ''
    if (word === 'nop' || word === 'blackhole') {
      rule.action = word
      continue
    }
    if (word === 'pref') rule.preference = Number(value)
    else if (word === 'from') rule.from = value
    else if (word === 'to') rule.to = value
    else if (word === 'iif') rule.inInterface = value
    else if (word === 'protocol') rule.protocol = value
    else if (word === 'goto' || word === 'lookup') rule.action = `${word} ${value}`
    at += 1
  }
  return rule
}

/** As `ip rule show` and `ip monitor rule` print it. */
const asLine = ({ preference, from, to, inInterface, action, protocol }: FakeRoutingRule): string =>
  `${preference}:\tfrom ${from ?? 'all'}${to === undefined ? '' : ` to ${to}`}${
    inInterface === undefined ? '' : ` iif ${inInterface}`
  } ${action}${protocol === undefined ? '' : ` proto ${protocol}`}`

function asJson({ preference, from, to, inInterface, action, protocol }: FakeRoutingRule): object {
  const [verb = '', value] = action.split(' ')
  const split = (side: 'src' | 'dst', text: string): object => {
    const [address, length] = text.split('/')
    return { [side]: address, ...(length !== undefined && { [`${side}len`]: Number(length) }) }
  }
  return {
    priority: preference,
    ...split('src', from ?? 'all'),
    ...(to !== undefined && split('dst', to)),
    ...(inInterface !== undefined && { iif: inInterface }),
    ...(verb === 'lookup' && { table: value }),
    ...(verb === 'goto' && { goto: Number(value) }),
    ...(verb === 'nop' && { nop: null }),
    ...(verb === 'blackhole' && { action: verb }),
    ...(protocol !== undefined && { protocol }),
  }
}
