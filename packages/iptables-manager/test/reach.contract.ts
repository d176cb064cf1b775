import { describe, expect, it } from 'vitest'
import type { Reach } from '../src/index.ts'

/** What a node must say of its ports, whoever asks. */
export interface ReachNode {
  readonly reach: Reach
  /** Somebody listens there, until the returned function is called. */
  listen(): Promise<{ address: string; port: number; close: () => Promise<void> }>
}

export function reachContract(name: string, open: () => ReachNode): void {
  describe(name, () => {
    it('tells a port that somebody listens on from one that is closed', async () => {
      const { reach, listen } = open()
      const { address, port, close } = await listen()
      expect(await reach(address, port)).toBe('answered')
      expect(await reach(address, port)).toBe('answered')
      await close()
      expect(await reach(address, port)).toBe('refused')
    })

    it('does not reject when nobody wants to know any more', async () => {
      const { reach, listen } = open()
      const { address, port, close } = await listen()
      const stopped = new AbortController()
      stopped.abort()
      expect(await reach(address, port, stopped.signal)).toBe('unknown')
      await close()
    })
  })
}
