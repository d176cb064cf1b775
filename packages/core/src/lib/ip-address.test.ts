import * as fc from 'fast-check'
import { IPv6 } from 'ip-num'
import { describe, expect, test } from 'vitest'
import { isCoded } from './errors.ts'
import { isIpv6, parseCidr, parseIpAddress, toIpAddress } from './ip-address.ts'

const codeOf = (action: () => unknown): unknown => {
  try {
    action()
  } catch (error) {
    return isCoded(error) ? error.code : error
  }
  return 'nothing was thrown'
}

describe('IPv4', () => {
  test.each(['127.44.0.7', '0.0.0.0', '255.255.255.255'])('%s is itself', (text) => {
    expect(toIpAddress(text)).toBe(text)
  })

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.04',
    '0x7f.0.0.1',
    '1.2.3.4 ',
    ' 1.2.3.4',
  ])('"%s" is no address', (text) => {
    expect(toIpAddress(text)).toBeUndefined()
  })
})

describe('IPv6 in the canonical form of RFC 5952', () => {
  test.each([
    // Section 4.1: leading zeros.
    ['2001:0db8::0001', '2001:db8::1'],
    // 4.2.1: shorten as much as possible.
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    // 4.2.2: one group of zeros is not shortened.
    ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    // 4.2.3: the longest run, and the first of equals.
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    // 4.3: lower case.
    ['2001:DB8::AAAA:BBBB', '2001:db8::aaaa:bbbb'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['fd00:ec2::254', 'fd00:ec2::254'],
    ['FE80:0:0:0:0:0:0:1', 'fe80::1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['::1.2.3.4', '::102:304'],
    // Almost IPv4-mapped.
    ['::1:ffff:a00:1', '::1:ffff:a00:1'],
    ['::ffff:0:a00:1', '::ffff:0:a00:1'],
    ['1::ffff:a00:1', '1::ffff:a00:1'],
  ])('%s is %s', (text, canonical) => {
    expect(toIpAddress(text)).toBe(canonical)
  })

  test.each([
    '::ffff:10.0.0.1',
    '::FFFF:10.0.0.1',
    '::ffff:a00:1',
    '0:0:0:0:0:ffff:0a00:0001',
    '0::ffff:10.0.0.1',
  ])('%s is the IPv4 address that it maps', (text) => {
    expect(toIpAddress(text)).toBe('10.0.0.1')
  })

  test.each([
    ':',
    ':::',
    '1::2::3',
    '12345::',
    'g::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::1%eth0',
    '[::1]',
    '::1/128',
  ])('"%s" is no address', (text) => {
    expect(toIpAddress(text)).toBeUndefined()
  })

  const anyAddress = fc.oneof(
    fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
    // Many zeros, which is where the rules are.
    fc
      .array(fc.constantFrom<bigint[]>(0n, 0n, 0n, 1n, 0xffffn, 0xa0n), { minLength: 8, maxLength: 8 })
      .map((groups) => groups.reduce((all, group) => (all << 16n) | group, 0n)),
  )
  const isMapped = (value: bigint) => value >> 32n === 0xffffn

  test('keeps the value that ip-num sees in it, however it was written', () => {
    fc.assert(
      fc.property(anyAddress, fc.boolean(), fc.boolean(), (value, upper, padded) => {
        fc.pre(!isMapped(value))
        const groups = value.toString(16).padStart(32, '0').match(/.{4}/g) ?? []
        const plain = (padded ? groups : groups.map((group) => group.replace(/^0{1,3}/, ''))).join(':')
        const canonical = parseIpAddress(upper ? plain.toUpperCase() : plain)
        expect(IPv6.fromString(canonical).value).toBe(value)
        expect(parseIpAddress(canonical)).toBe(canonical)
        expect(canonical).toMatch(/^[0-9a-f:]+$/)
        expect(canonical.match(/::/g)?.length ?? 0).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('two texts are equal exactly if the addresses are', () => {
    fc.assert(
      fc.property(anyAddress, anyAddress, (a, b) => {
        const text = (value: bigint) => (value.toString(16).padStart(32, '0').match(/.{4}/g) ?? []).join(':')
        expect(toIpAddress(text(a)) === toIpAddress(text(b))).toBe(a === b)
      }),
    )
  })
})

test('what is no address throws ADDRESS_INVALID, quoted', () => {
  expect(codeOf(() => parseIpAddress('nonsense'))).toBe('ADDRESS_INVALID')
  expect(() => parseIpAddress('a\nb')).toThrow('"a\\nb" is not an IPv4 or IPv6 address')
})

test('tells the families apart', () => {
  expect(isIpv6(parseIpAddress('::1'))).toBe(true)
  expect(isIpv6(parseIpAddress('::ffff:1.2.3.4'))).toBe(false)
})

describe('ranges', () => {
  test.each([
    ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255'], ['9.255.255.255', '11.0.0.0', '::a00:0']],
    ['10.1.2.3/8', ['10.0.0.0', '10.255.255.255'], ['11.0.0.0']],
    ['127.44.0.7', ['127.44.0.7'], ['127.44.0.6', '127.44.0.8']],
    ['0.0.0.0/0', ['0.0.0.0', '255.255.255.255'], ['::']],
    ['169.254.0.0/31', ['169.254.0.0', '169.254.0.1'], ['169.254.0.2']],
    ['fd00::/8', ['fd00:ec2::254', 'fdff:ffff::1'], ['fc00::1', 'fe00::', '253.0.0.0']],
    ['::1', ['::1'], ['::', '::2']],
    ['::/0', ['::', 'ffff::'], ['0.0.0.0']],
  ])('%s', (text, inside, outside) => {
    const range = parseCidr(text)
    expect(range.text).toBe(text)
    for (const address of inside) expect(range.contains(parseIpAddress(address)), address).toBe(true)
    for (const address of outside) expect(range.contains(parseIpAddress(address)), address).toBe(false)
  })

  test.each([
    '',
    '/',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/8/9',
    '10.0.0.0/8 ',
    '::/129',
    'x/8',
    '10.0.0.0/255.0.0.0',
  ])('"%s" is none', (text) => {
    expect(codeOf(() => parseCidr(text))).toBe('ADDRESS_INVALID')
  })

  test('holds an IPv4 address exactly if its leading bits are those of the base', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffffffff }),
        fc.integer({ min: 0, max: 0xffffffff }),
        fc.integer({ min: 0, max: 32 }),
        (base, other, bits) => {
          const dotted = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.')
          const lead = (value: number) => (bits === 0 ? 0 : value >>> (32 - bits))
          const near = bits === 0 ? other : (base ^ (other >>> Math.min(31, bits - 1))) >>> 0
          for (const address of [other, near]) {
            expect(parseCidr(`${dotted(base)}/${bits}`).contains(parseIpAddress(dotted(address)))).toBe(
              lead(address) === lead(base),
            )
          }
        },
      ),
    )
  })
})
