import type { FakeClock } from '@kube2iam-ts/core/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Upstream } from '../src/index.ts'
import type { FakeInstance } from '../src/testing.ts'

export interface UpstreamWorld {
  readonly instance: FakeInstance
  readonly upstream: Upstream
  readonly clock: FakeClock
  close(): Promise<void>
}

/** What every way to the instance's metadata service holds to. */
export function upstreamContract(name: string, open: () => Promise<UpstreamWorld>): void {
  describe(`upstream contract: ${name}`, () => {
    const never = new AbortController().signal
    const path = '/latest/meta-data/placement/region'
    let world: UpstreamWorld
    beforeEach(async () => {
      world = await open()
    })
    afterEach(() => world.close())
    const get = (at = path, signal = never) => world.upstream.get(at, { signal })

    test('an answer comes with its type, its date and nothing of the connection', async () => {
      const { status, headers, body } = await get()
      expect([status, body.toString()]).toEqual([200, 'us-east-1'])
      expect(headers).toEqual({
        'content-type': 'text/plain',
        'accept-ranges': 'none',
        'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT',
      })
    })

    test('what is not there is a 404 with the page of the metadata service', async () => {
      const { status, body } = await get('/latest/meta-data/spot/instance-action')
      expect(status).toBe(404)
      expect(body.toString()).toContain('<h1>404 - Not Found</h1>')
    })

    test('a dead service is a retryable failure', async () => {
      world.instance.faults.down = true
      await expect(get()).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', retryable: true })
      world.instance.faults.down = false
      expect((await get()).status).toBe(200)
    })

    test('a slow service is given up on within a second', async () => {
      world.instance.faults.slowMs = 5000
      const answer = expect(get()).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' })
      await world.clock.waiting()
      while (world.instance.requests.length === 0) await new Promise((resolve) => setImmediate(resolve))
      await world.clock.advance(999)
      await answer
    })

    test('an answer that is too long is a failure', async () => {
      world.instance.faults.bodyBytes = 300_000
      await expect(get()).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' })
    })

    test('a caller that hangs up ends its wait', async () => {
      world.instance.faults.slowMs = 500
      const caller = new AbortController()
      const answer = expect(get(path, caller.signal)).rejects.toMatchObject({ code: expect.any(String) })
      await world.clock.waiting()
      caller.abort()
      await answer
    })
  })
}
