import { expect, test } from 'vitest'
import { aGrant, aNamespace, aPod } from './builders.ts'
import { collectReports } from './collect-reports.ts'
import { ignoreReports } from './report.ts'

test('builders fill in everything and keep what was named', () => {
  const pod = aPod({ name: 'job-1', addresses: ['::ffff:127.44.0.9'], hostNetwork: true })
  expect(pod).toMatchObject({
    uid: 'uid-of-job-1',
    name: 'job-1',
    addresses: ['127.44.0.9'],
    hostNetwork: true,
  })
  expect(aPod()).toMatchObject({ namespace: 'default', phase: 'Running', deletedAt: undefined })
  expect(aNamespace({ name: 'payments' })).toEqual({ name: 'payments', annotations: {} })
  expect(aGrant({ externalId: 'x' })).toMatchObject({ sessionName: 'default.web-0', externalId: 'x' })
})

test('collected reports are kept in order', () => {
  const { events, report } = collectReports<string>()
  report('a')
  report('b')
  ignoreReports('c')
  expect(events).toEqual(['a', 'b'])
})
