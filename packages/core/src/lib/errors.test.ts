import { expect, test } from 'vitest'
import { aborted, CodedError, isCoded } from './errors.ts'

test('a failure has a code, says whether trying again may help, and what belongs in the log', () => {
  const cause = new Error('socket hang up')
  const error = new CodedError('STS_UNAVAILABLE', 'STS did not answer', {
    retryable: true,
    cause,
    detail: { region: 'eu-west-1' },
  })
  expect(error).toMatchObject({
    code: 'STS_UNAVAILABLE',
    retryable: true,
    cause,
    detail: { region: 'eu-west-1' },
  })
  expect(error.stack).toContain('STS did not answer')
})

test('unless told otherwise it is final, has no cause and no detail', () => {
  const error = new CodedError('ARN_INVALID', 'no')
  expect(error).toMatchObject({ retryable: false, detail: {} })
  expect('cause' in error).toBe(false)
})

test('is recognised by its code, also when another copy of the package made it', () => {
  class CodedErrorOfAnotherCopy extends Error {
    code = 'STS_DENIED'
    retryable = false
  }
  expect(isCoded(new CodedErrorOfAnotherCopy('x'))).toBe(true)
  expect(isCoded(new CodedErrorOfAnotherCopy('x'), 'STS_DENIED')).toBe(true)
  expect(isCoded(new CodedErrorOfAnotherCopy('x'), 'STS_INVALID')).toBe(false)
})

test.each([
  ['an error of Node', Object.assign(new Error('x'), { code: 'ECONNRESET' })],
  ['a plain error', new Error('x')],
  ['a record', { code: 'STS_DENIED', retryable: false }],
  ['a word for whether to retry', Object.assign(new Error('x'), { code: 'STS_DENIED', retryable: 'yes' })],
  ['a code that is no text', Object.assign(new Error('x'), { code: 5, retryable: true })],
  ['nothing', undefined],
  ['null', null],
])('%s is none', (_what, value) => {
  expect(isCoded(value)).toBe(false)
})

test('an abort carries the signal’s reason', () => {
  const reason = new Error('the pod hung up')
  expect(aborted(AbortSignal.abort(reason))).toMatchObject({ code: 'ABORTED', cause: reason })
  expect(aborted()).toMatchObject({ code: 'ABORTED', retryable: false })
})
