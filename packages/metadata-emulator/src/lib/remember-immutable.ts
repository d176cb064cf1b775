import type { Upstream, UpstreamAnswer } from './upstream-port.ts'

// Facts that hold for as long as the instance runs. Notices, tags, interfaces and public addresses change.
const IMMUTABLE =
  /^\/[^/]+\/meta-data\/(?:(?:placement|services)\/.+|ami-id|ami-launch-index|hostname|instance-id|instance-life-cycle|instance-type|local-hostname|local-ipv4|mac|reservation-id)$/
const LONGEST_MEMORY = 256

/** Asks an upstream for each immutable fact once. */
export function rememberImmutable(upstream: Upstream): Upstream {
  const known = new Map<string, UpstreamAnswer>()
  const asking = new Map<string, Promise<UpstreamAnswer>>()
  // A shared request is nobody's to abort; the adapter bounds its time.
  const nobody = new AbortController().signal

  const askOnce = async (path: string): Promise<UpstreamAnswer> => {
    try {
      const answer = await upstream.get(path, { signal: nobody })
      if (answer.status === 200 && known.size < LONGEST_MEMORY) known.set(path, answer)
      return answer
    } finally {
      asking.delete(path)
    }
  }

  return {
    async get(path, options) {
      if (!IMMUTABLE.test(path)) return await upstream.get(path, options)
      const answer = known.get(path)
      if (answer !== undefined) return answer
      const pending = asking.get(path) ?? askOnce(path)
      asking.set(path, pending)
      return await pending
    },
    close: () => upstream.close(),
  }
}
