import { expect, test } from 'vitest'
import { checkRollOut } from './node-checks.ts'

const of = (value: string | undefined) =>
  checkRollOut({
    readText: async (path) => (path === '/proc/sys/net/ipv4/tcp_migrate_req' ? value : undefined),
  })

test('a node that hands waiting connections over is fine', async () => {
  expect(await of('1\n')).toMatchObject({ check: 'roll-out', severity: 'ok' })
})

test('one that resets them is warned of, with the setting that helps', async () => {
  expect(await of('0\n')).toMatchObject({
    severity: 'warning',
    message: expect.stringContaining('tcp_migrate_req is 0'),
    remedy: expect.stringMatching(/^sysctl net\.ipv4\.tcp_migrate_req=1.*migrate-requests/),
  })
})

test('one whose kernel cannot is told which could', async () => {
  expect(await of(undefined)).toMatchObject({
    severity: 'warning',
    remedy: expect.stringContaining('5.14'),
  })
})
