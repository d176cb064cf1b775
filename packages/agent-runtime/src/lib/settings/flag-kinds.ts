import { isIP } from 'node:net'
import type { BaseArn, Cidr, RoleArn } from '@kube2iam-ts/core'
import { isCoded, parseBaseArn, parseCidr, parseRoleArn, resolveRole, toIpAddress } from '@kube2iam-ts/core'
import { formatGoDuration, parseGoDuration } from './go-duration.ts'

/** What came of reading a value: the value, or what is wrong with it and what a right one is. */
export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly wrong: string; readonly right: string }

/** A type of flag: how its text becomes a value. */
export interface FlagKind<Value> {
  /** For help and documentation: `duration`, `port`, … */
  readonly label: string
  parse(text: string): Parsed<Value>
  /** The bare flag means true, and `--flag value` does not take the next argument, as in pflag. */
  readonly bare?: boolean
  /** Repeating the flag adds to the value (a comma separates values within one); otherwise the last one counts. */
  readonly many?: boolean
}

const right = <Value>(value: Value): Parsed<Value> => ({ ok: true, value })
const wrong = (what: string, expected: string): Parsed<never> => ({ ok: false, wrong: what, right: expected })

/** Any text; empty is unset. */
export const text: FlagKind<string | undefined> = {
  label: 'string',
  parse: (value) => right(value === '' ? undefined : value),
}

/** Text that must be there, such as an annotation key. */
export const name = (what: string, pattern: RegExp, example: string): FlagKind<string> => ({
  label: 'string',
  parse: (value) =>
    pattern.test(value) ? right(value) : wrong(`is not ${what}`, `give one such as ${example}`),
})

/** Go's strconv.ParseBool, which is what pflag accepts. */
const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True'])
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False'])
const boolean = (value: string): boolean | undefined =>
  TRUE.has(value) ? true : FALSE.has(value) ? false : undefined

export const toggle: FlagKind<boolean> = {
  label: 'bool',
  bare: true,
  parse(value) {
    const parsed = boolean(value)
    return parsed === undefined ? wrong('is not a boolean', 'give true or false') : right(parsed)
  },
}

/** A boolean for which being absent is a third meaning. */
export const maybe: FlagKind<boolean | undefined> = {
  label: 'bool',
  bare: true,
  parse: (value) => (value === '' ? right(undefined) : toggle.parse(value)),
}

/** One of a few words, in any case. */
export const choice = <const Word extends string>(...words: readonly Word[]): FlagKind<Word> => ({
  label: words.join('|'),
  parse(value) {
    const found = words.find((word) => word === value.toLowerCase())
    return found === undefined
      ? wrong(`is none of ${words.join(', ')}`, `give one of ${words.join(', ')}`)
      : right(found)
  },
})

/** A boolean, as kube2iam has it, or one of a few words that say more. */
export const toggleOr = <const Word extends string>(
  meaning: { readonly true: Word; readonly false: Word },
  ...words: readonly Word[]
): FlagKind<Word> => ({
  label: ['bool', ...words].join('|'),
  bare: true,
  parse(value) {
    const parsed = boolean(value)
    if (parsed !== undefined) return right(parsed ? meaning.true : meaning.false)
    const found = words.find((word) => word === value.toLowerCase())
    return found === undefined
      ? wrong(`is none of ${words.join(', ')}`, `give one of ${words.join(', ')}, true or false`)
      : right(found)
  },
})

/** Milliseconds, written in Go's syntax. */
export const duration = (least = 0, most = Number.POSITIVE_INFINITY): FlagKind<number> => ({
  label: 'duration',
  parse(value) {
    const ms = parseGoDuration(value)
    if (ms === undefined) return wrong('is not a duration', 'give one such as 900ms, 15m0s or 1h30m')
    if (ms >= least && ms <= most) return right(ms)
    const range =
      most === Number.POSITIVE_INFINITY
        ? `at least ${formatGoDuration(least)}`
        : `from ${formatGoDuration(least)} to ${formatGoDuration(most)}`
    return wrong('is out of range', `give a duration ${range}`)
  },
})

export const count = (least: number, most: number): FlagKind<number> => ({
  label: 'int',
  parse(value) {
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
    return number >= least && number <= most
      ? right(number)
      : wrong('is not a number in range', `give a whole number from ${least} to ${most}`)
  },
})

/** A TCP port. 0, a port that the system chooses, is judged with the other settings. */
export const port: FlagKind<number> = {
  label: 'port',
  parse(value) {
    const number = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN
    return number <= 65_535 ? right(number) : wrong('is not a port', 'give a number from 1 to 65535')
  },
}

/** Several values of a kind, separated by commas. */
export const list = <Value>(kind: FlagKind<Value>): FlagKind<readonly Value[]> => ({
  label: `${kind.label},…`,
  many: true,
  parse(value) {
    const items: Value[] = []
    for (const part of value.split(',').map((item) => item.trim())) {
      if (part === '') continue
      const parsed = kind.parse(part)
      if (!parsed.ok)
        return { ok: false, wrong: `holds "${part}", which ${parsed.wrong}`, right: parsed.right }
      items.push(parsed.value)
    }
    return right(items)
  },
})

/** A value that may be absent: empty is unset. */
export const optional = <Value>(kind: FlagKind<Value>): FlagKind<Value | undefined> => ({
  ...kind,
  parse: (value) => (value === '' ? right(undefined) : kind.parse(value)),
})

const coded =
  <Value>(parse: (value: string) => Value, what: string, expected: string) =>
  (value: string): Parsed<Value> => {
    try {
      return right(parse(value))
    } catch (error) {
      if (isCoded(error)) return wrong(`is not ${what}`, expected)
      throw error
    }
  }

export const ip: FlagKind<string> = {
  label: 'ip',
  parse: (value) =>
    isIP(value) === 0 ? wrong('is not an IP address', 'give one such as 10.0.3.17') : right(value),
}

/** An address for each family that is served, as the downward API's `status.hostIPs` has them. */
export const ipOfEachFamily: FlagKind<readonly string[]> = {
  ...list(ip),
  parse(value) {
    const parsed = list(ip).parse(value)
    if (!parsed.ok) return parsed
    const canonical = (address: string): string => toIpAddress(address) ?? address
    const addresses = [...new Map(parsed.value.map((address) => [canonical(address), address])).values()]
    for (const family of [4, 6]) {
      const isOfFamily = (address: string) => canonical(address).includes(':') === (family === 6)
      const [, second] = addresses.filter(isOfFamily)
      if (second !== undefined) {
        const expected = 'give one address of each family, such as 10.0.3.17,fd00::17'
        return wrong(`holds "${second}", which is a second IPv${family} address`, expected)
      }
    }
    return right(addresses)
  },
}

export const cidr: FlagKind<Cidr> = {
  label: 'cidr',
  parse: coded(parseCidr, 'an address range', 'give one such as 10.0.0.0/8'),
}

export const baseArn: FlagKind<BaseArn> = {
  label: 'arn',
  parse: coded(parseBaseArn, 'a base role ARN', 'give one such as arn:aws:iam::123456789012:role/'),
}

export const roleArn: FlagKind<RoleArn> = {
  label: 'arn',
  parse: coded(parseRoleArn, 'a role ARN', 'give one such as arn:aws:iam::123456789012:role/NAME'),
}

/** A role name (with a path, perhaps) or a role ARN; which account a short name means is known later. */
const SOME_BASE = parseBaseArn('arn:aws:iam::000000000000:role/')
export const role: FlagKind<string> = {
  label: 'role',
  parse: coded(
    (value) => {
      resolveRole(value, SOME_BASE)
      return value
    },
    'a role',
    'give a role name, or an ARN such as arn:aws:iam::123456789012:role/NAME',
  ),
}

export const url = (...schemes: readonly string[]): FlagKind<string> => ({
  label: 'url',
  parse(value) {
    const expected = `give one such as ${schemes[0]}://host:port`
    if (!URL.canParse(value)) return wrong('is not a URL', expected)
    return schemes.includes(new URL(value).protocol.slice(0, -1))
      ? right(value)
      : wrong(`is not an ${schemes.join(' or ')} URL`, expected)
  },
})

/** `host`, `host:port`, `address` or `[address]:port`: where something listens. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

export const hostPort = (defaultPort: number): FlagKind<HostPort> => ({
  label: 'host:port',
  parse(value) {
    if (isIP(value) === 6) return right({ host: value, port: defaultPort })
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/.exec(value)
    const host = match?.[1] ?? match?.[2]
    const parsed = match?.[3] === undefined ? defaultPort : Number(match[3])
    return host === undefined || parsed < 1 || parsed > 65_535
      ? wrong('is not an address', 'give one such as 169.254.169.254 or 127.0.0.1:8080')
      : right({ host, port: parsed })
  },
})
