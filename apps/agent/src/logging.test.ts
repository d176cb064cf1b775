import { Secret } from '@kube2iam-ts/core'
import { expect, test } from 'vitest'
import { toText } from './logging.ts'

test('text is what logrus writes: time, level and msg first, quotes where a value needs them', () => {
  const line = {
    level: 'info',
    time: '2026-01-01T00:00:00.000Z',
    pod: 'default/web-0',
    code: 404,
    why: 'a "b"',
    msg: 'role denied',
  }
  expect(toText(JSON.stringify(line))).toBe(
    'time=2026-01-01T00:00:00.000Z level=info msg="role denied" pod=default/web-0 code=404 why="a \\"b\\""\n',
  )
})

test('lists and objects are JSON in quotes, and a line stays a line', () => {
  const line = { level: 'warn', time: 't', pods: ['a/b'], message: 'one\ntwo', msg: 'x' }
  expect(toText(JSON.stringify(line))).toBe(
    'time=t level=warn msg=x pods="[\\"a/b\\"]" message="one\\ntwo"\n',
  )
})

test('a secret in a field is redacted by its type', () => {
  expect(
    toText(JSON.stringify({ level: 'info', time: 't', key: new Secret('hunter2'), msg: 'x' })),
  ).not.toContain('hunter2')
})
