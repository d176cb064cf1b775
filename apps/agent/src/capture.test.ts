import { parseSettings } from '@kube2iam-ts/agent-runtime'
import { expect, test } from 'vitest'
import { upstreamEndpoint } from './capture.ts'

const of = (...args: string[]) => {
  const parsed = parseSettings({ args })
  if (parsed.kind !== 'settings') throw new Error(parsed.kind)
  return upstreamEndpoint(parsed.settings).map(
    ({ address, port, action }) => `${action} ${address} ${port ?? 80}`,
  )
}

test.each([
  ['10.0.0.9', 'redirect 10.0.0.9 80'],
  ['10.0.0.9:8080', 'redirect 10.0.0.9 8080'],
  ['[fd00:EC2:0::9]:81', 'redirect fd00:ec2::9 81'],
  ['169.254.169.254', 'redirect 169.254.169.254 80'],
])('pods are kept from the metadata service at %s too', (address, endpoint) => {
  expect(of(`--metadata-addr=${address}`)).toEqual([endpoint])
})

test.each(['127.0.0.1:8080', '[::1]:80', '0.0.0.0:80', '[::ffff:127.0.0.1]:80', 'imds.internal:80'])(
  '%s is nothing that could be redirected',
  (address) => {
    expect(of(`--metadata-addr=${address}`)).toEqual([])
  },
)

test('the address of the node itself stays open: the redirect leads there', () => {
  expect(of('--metadata-addr=10.0.0.1:8080', '--host-ip=10.0.0.1')).toEqual([])
})
