import type { UpstreamAnswer } from './upstream-port.ts'

// Facts that hold for as long as the instance runs. Notices, tags, interfaces and public addresses change.
const IMMUTABLE =
  /^\/[^/]+\/meta-data\/(?:(?:placement|services)\/.+|ami-id|ami-launch-index|hostname|instance-id|instance-life-cycle|instance-type|local-hostname|local-ipv4|mac|reservation-id)$/
/** There are some twenty such facts and thirty versions: all of them fit, whoever asks for what. */
const LONGEST_MEMORY = 1024

export type Ask<Asker> = (path: string, asker: Asker) => Promise<UpstreamAnswer>

/** Remembers each immutable fact from its first answer on. */
export function rememberImmutable<Asker>(ask: Ask<Asker>): Ask<Asker> {
  const known = new Map<string, UpstreamAnswer>()
  return async (path, asker) => {
    if (!IMMUTABLE.test(path)) return await ask(path, asker)
    const remembered = known.get(path)
    if (remembered !== undefined) return remembered
    const answer = await ask(path, asker)
    if (answer.status === 200 && known.size < LONGEST_MEMORY) known.set(path, answer)
    return answer
  }
}
