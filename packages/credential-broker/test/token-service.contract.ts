import type { Grant } from '@kube2iam-ts/core'
import { aGrant } from '@kube2iam-ts/core/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { TokenService, TokenServiceErrorCode } from '../src/index.ts'

/** One world in which every service under the contract lives: how to bring about what the contract is about. */
export interface ContractWorld {
  readonly service: TokenService
  /** The service's own time. */
  readonly now: () => number
  /** Brings about that the next calls end as named, or are never answered. */
  readonly make: (trouble: Trouble) => void
  readonly close: () => Promise<void>
}

export type Trouble = Exclude<TokenServiceErrorCode, 'ABORTED'> | 'hang'

/** What every TokenService does, the fake and the one that talks to STS. */
export function tokenServiceContract(name: string, open: () => Promise<ContractWorld>): void {
  describe(`token service contract: ${name}`, () => {
    let world: ContractWorld
    beforeEach(async () => {
      world = await open()
    })
    afterEach(() => world.close())

    const assume = (grant: Grant = aGrant(), signal = new AbortController().signal) =>
      world.service.assumeRole(grant, { signal })

    test('issues a session of the role under the session name, for the duration', async () => {
      const grant = aGrant({ durationSeconds: 1800, sessionName: 'shop.cart-7' })
      const { credentials, assumedRoleArn, serverTime } = await assume(grant)
      expect(assumedRoleArn).toBe('arn:aws:sts::123456789012:assumed-role/app/shop.cart-7')
      expect(credentials.accessKeyId).toMatch(/^ASIA[A-Z0-9]{8,}$/)
      expect(credentials.secretAccessKey.reveal()).not.toBe('')
      expect(credentials.sessionToken.reveal()).not.toBe('')
      const life = credentials.expiration.getTime() - world.now()
      expect(life).toBeGreaterThan(1_790_000)
      expect(life).toBeLessThanOrEqual(1_800_000)
      expect(Math.abs((serverTime?.getTime() ?? 0) - world.now())).toBeLessThan(2_000)
    })

    test('never issues the same session twice', async () => {
      const [one, other] = await Promise.all([assume(), assume()])
      expect(one.credentials.accessKeyId).not.toBe(other.credentials.accessKeyId)
    })

    test.each([
      ['STS_DENIED', false],
      ['STS_INVALID', false],
      ['STS_THROTTLED', true],
      ['STS_UNAVAILABLE', true],
      ['STS_BAD_ANSWER', true],
      ['NODE_CREDENTIALS_UNAVAILABLE', true],
    ] as const)('rejects with %s (retryable: %s)', async (code, retryable) => {
      world.make(code)
      await expect(assume()).rejects.toMatchObject({ name: 'CodedError', code, retryable })
    })

    test('rejects with ABORTED as soon as its signal is aborted, also while no answer comes', async () => {
      world.make('hang')
      const controller = new AbortController()
      const call = assume(aGrant(), controller.signal)
      controller.abort()
      await expect(call).rejects.toMatchObject({ code: 'ABORTED' })
      await expect(assume(aGrant(), AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' })
    })
  })
}
