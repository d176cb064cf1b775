import { expect, test } from 'vitest'
import { toText } from './logging.ts'

const line = (fields: Record<string, unknown>) =>
  toText(JSON.stringify({ time: 't', level: 'info', msg: 'm', ...fields }))

test('plain words stand as they are, everything else in quotes', () => {
  expect(line({ pod: 'default/web-0', lost: 3, reason: 'no space', parts: ['a', 'b'] })).toBe(
    'time=t level=info msg=m pod=default/web-0 lost=3 reason="no space" parts="[\\"a\\",\\"b\\"]"\n',
  )
})

test('nothing that somebody wrote moves, hides or reverses the text around it', () => {
  const said = line({ role: 'a\u009b2Jb\u202ec\u2028d\u007fe' })
  expect(said).not.toMatch(/[\u007f-\u009f\u202e\u2028]/)
  expect(said).toContain('a\\u009b2Jb\\u202ec\\u2028d\\u007fe')
})
