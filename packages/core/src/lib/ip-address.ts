import { isIP, isIPv4 } from 'node:net'
import { IPv4, IPv4CidrRange, IPv6, IPv6CidrRange } from 'ip-num'
import { CodedError } from './errors.ts'
import { quoted } from './foreign-text.ts'

declare const brand: unique symbol

/**
 * An IP address in its canonical text (RFC 5952 for IPv6; an IPv4-mapped IPv6 address is the IPv4 address that it
 * maps), so that two addresses are equal exactly if their texts are.
 */
export type IpAddress = string & { readonly [brand]: 'IpAddress' }

/** Parses an address; `undefined` where the text is none. IPv4 costs one regular expression: fit for a request. */
export function toIpAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return text as IpAddress
  if (isIP(text) !== 6 || text.includes('%')) return undefined
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)
  if (mapped?.[1] !== undefined) return mapped[1] as IpAddress
  const groups = expandGroups(text)
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    const [high = 0, low = 0] = groups.slice(6)
    return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}` as IpAddress
  }
  return compress(groups) as IpAddress
}

/** Parses an address or throws `ADDRESS_INVALID`. */
export function parseIpAddress(text: string): IpAddress {
  const address = toIpAddress(text)
  if (address === undefined) {
    throw new CodedError('ADDRESS_INVALID', `${quoted(text)} is not an IPv4 or IPv6 address`)
  }
  return address
}

export const isIpv6 = (address: IpAddress): boolean => address.includes(':')

/** A range of addresses of one family. */
export interface Cidr {
  /** As it was written. */
  readonly text: string
  readonly family: 4 | 6
  contains(address: IpAddress): boolean
}

/** Parses `10.0.0.0/8`, `fd00::/8` or a single address; throws `ADDRESS_INVALID`. */
export function parseCidr(text: string): Cidr {
  const [, base = '', prefix] = /^([^/]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? []
  const address = toIpAddress(base)
  if (address === undefined) throw notRange(text)
  const family = isIpv6(address) ? 6 : 4
  const range = `${address}/${prefix ?? (family === 6 ? '128' : '32')}`
  try {
    if (family === 4) {
      const parsed = IPv4CidrRange.fromCidr(range)
      const [first, last] = [parsed.getFirst().value, parsed.getLast().value]
      return { text, family, contains: (a) => !isIpv6(a) && within(IPv4.fromString(a).value, first, last) }
    }
    const parsed = IPv6CidrRange.fromCidr(range)
    const [first, last] = [parsed.getFirst().value, parsed.getLast().value]
    return { text, family, contains: (a) => isIpv6(a) && within(IPv6.fromString(a).value, first, last) }
  } catch (cause) {
    throw notRange(text, cause)
  }
}

const notRange = (text: string, cause?: unknown): CodedError<'ADDRESS_INVALID'> =>
  new CodedError(
    'ADDRESS_INVALID',
    `${quoted(text)} is not an address range such as 10.0.0.0/8 or fd00::/8`,
    { cause },
  )

const within = (value: bigint, first: bigint, last: bigint): boolean => value >= first && value <= last

/** The eight groups of a valid IPv6 text. */
function expandGroups(text: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)
  const hex =
    dotted === null ? text : `${dotted[1]}${pair(dotted[2], dotted[3])}:${pair(dotted[4], dotted[5])}`
  const [head = '', tail] = hex.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const gap = tail === undefined ? [] : Array<string>(8 - left.length - right.length).fill('0')
  return [...left, ...gap, ...right].map((group) => Number.parseInt(group, 16))
}

const pair = (high = '0', low = '0'): string => (Number(high) * 256 + Number(low)).toString(16)

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups (the first of equals) as `::`. */
function compress(groups: readonly number[]): string {
  let best = { start: -1, length: 1 }
  for (let start = 0; start < groups.length; start += 1) {
    let length = 0
    while (groups[start + length] === 0) length += 1
    if (length > best.length) best = { start, length }
  }
  const hex = groups.map((group) => group.toString(16))
  if (best.start === -1) return hex.join(':')
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`
}
