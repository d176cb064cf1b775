import { isCoded } from '@kube2iam-ts/core'
import { describe, expect, test } from 'vitest'
import { parseMetadataAllow } from './metadata-allow.ts'
import { METADATA_PRESETS } from './metadata-presets.ts'

const MAC = '02:29:96:8f:6a:2d'
const refusalOf = (value: string): string => {
  try {
    parseMetadataAllow([value])
  } catch (error) {
    expect(isCoded(error, 'METADATA_ALLOW_INVALID')).toBe(true)
    return String(error)
  }
  throw new Error(`${value} was allowed`)
}

describe('what is never allowed', () => {
  test.each([
    'meta-data/iam/security-credentials/node',
    '/latest/meta-data/iam/info',
    'meta-data/IAM/info',
    'meta-data/identity-credentials/ec2/security-credentials/ec2-instance',
    'latest/api/token',
  ])('%s', (path) => expect(refusalOf(path)).toContain('holds credentials of the node'))

  test.each(['kube2iam', ...METADATA_PRESETS.map((one) => one.preset)])('by %s', (preset) => {
    const allow = parseMetadataAllow([preset])
    for (const path of [
      'meta-data/iam',
      'meta-data/iam/security-credentials/node',
      'meta-data/iam/security-credentials-extended/node',
      'meta-data/identity-credentials/ec2/info',
      'meta-data/Identity-Credentials/ec2/security-credentials/ec2-instance',
      'api/token',
    ]) {
      expect([path, allow.allows(path)]).toEqual([path, false])
    }
  })
})

test.each(METADATA_PRESETS)('$preset allows its paths and gives away no secret ones', ({ preset, paths }) => {
  const allow = parseMetadataAllow([preset])
  for (const path of paths) {
    const real = path.replace('<mac>', MAC).replace('<tag>', 'Name')
    expect([real, allow.allows(real)]).toEqual([real, true])
    expect([real, allow.allows(`${real}/x`)]).toEqual([real, false])
    expect([real, allow.allows(real.toUpperCase())]).toEqual([real, false])
  }
  for (const secret of [
    'user-data',
    'dynamic/instance-identity/document',
    'dynamic/instance-identity/pkcs7',
  ]) {
    expect(allow.allows(secret)).toBe(false)
  }
})

test('user-data and signed documents are allowed by their own names only', () => {
  for (const path of ['user-data', 'dynamic/instance-identity/pkcs7', 'dynamic/instance-identity/document']) {
    expect(parseMetadataAllow([path]).allows(path)).toBe(true)
  }
  const allow = parseMetadataAllow(['/latest/user-data'])
  expect(allow.allows('user-data')).toBe(true)
  expect(allow.allows('dynamic/instance-identity/pkcs7')).toBe(false)
})

test('values add up, separated by commas or given apart', () => {
  const allow = parseMetadataAllow(['region, spot', 'meta-data/ami-id'])
  expect(allow.names).toEqual(['region', 'spot', 'meta-data/ami-id'])
  for (const path of ['placement/region', 'spot/instance-action', 'ami-id']) {
    expect(allow.allows(`meta-data/${path}`)).toBe(true)
  }
})

test('kube2iam allows the rest, and says that it is insecure', () => {
  const allow = parseMetadataAllow(['kube2iam'])
  expect(allow.insecure).toBe('kube2iam')
  expect(allow.allows('user-data')).toBe(true)
  expect(parseMetadataAllow(['all-safe']).insecure).toBeUndefined()
})

test('a segment of a shape is that shape and nothing else', () => {
  const network = parseMetadataAllow(['network'])
  expect(network.allows(`meta-data/network/interfaces/macs/${MAC}/vpc-id`)).toBe(true)
  expect(network.allows('meta-data/network/interfaces/macs/../vpc-id')).toBe(false)
  expect(network.allows(`meta-data/network/interfaces/macs/${MAC}x/vpc-id`)).toBe(false)
  expect(network.allows(`meta-data/network/interfaces/macs/${MAC}/ipv4-associations`)).toBe(false)
  expect(network.allows('meta-data/network/interfaces/macs')).toBe(true)
})

test('directories list what is allowed below them', () => {
  const allow = parseMetadataAllow(['network', 'region'])
  expect(allow.list('')).toEqual(['dynamic/', 'meta-data/'])
  expect(allow.list('meta-data/placement')).toEqual(['availability-zone', 'availability-zone-id', 'region'])
  expect(allow.list(`meta-data/network/interfaces/macs/${MAC}`)).toContain('vpc-id')
  expect(allow.list('meta-data/network')).toEqual(['interfaces/'])
  expect(allow.list('meta-data/spot')).toBeUndefined()
  expect(allow.list('meta-data/placement/region')).toBeUndefined()
})

test.each([
  'regions',
  '',
  'meta-data/../user-data',
  'user-data/../x',
  'dynamic/other',
  'meta-data//x',
  'Meta-Data/x',
])('"%s" is refused with what is right', (value) =>
  expect(refusalOf(value)).toMatch(/a path such as meta-data\/ami-id|only these are known/),
)

test('none allows nothing, and nothing beside it', () => {
  expect(parseMetadataAllow(['none']).list('')).toBeUndefined()
  expect(refusalOf('none,region')).toContain('contradicts')
})
