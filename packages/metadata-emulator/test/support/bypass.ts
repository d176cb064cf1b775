import { createSeededRandom } from '@kube2iam-ts/core/testing'
import { collect, dial } from './raw-client.ts'
import { type Attack, drawAttack } from './target-grammar.ts'
import { openWorld, PODS } from './world.ts'

export interface BypassRun {
  /** What pods may read, and what of the instance must not come back whatever they ask. */
  readonly allow: readonly string[]
  readonly leak: RegExp
  /** What the instance may be asked: written down here anew, and not taken from the code under test. */
  readonly mayAsk: RegExp
  /** The first seed; each attack has its own, one more than the last. */
  readonly seed: number
  readonly count: number
}

const LANES = 48

const addressOf = (attack: number): string => `127.44.1.${1 + (attack % LANES)}`

/**
 * Attacks an emulator in front of an instance that forgives everything. Throws with the seed and the bytes of the
 * first attack that brought a secret back or that reached the instance where nothing may.
 */
export async function runBypass({
  allow,
  leak,
  mayAsk,
  seed,
  count,
}: BypassRun): Promise<Map<number, number>> {
  const statuses = new Map<number, number>()
  const world = await openWorld({
    lenient: true,
    allow,
    settings: { rate: { perSecond: 0, burst: 0 } },
    // Requests that promise a body and never send it are cut soon; a refusal of that is as good as any.
    limits: { headersTimeoutMs: 120, requestTimeoutMs: 120 },
  })
  for (let pod = 0; pod < LANES; pod += 1) world.service.place({ ...PODS.app, address: addressOf(pod) })
  const strayed = () => world.instance.requests.filter((one) => !isOwnToken(one) && !mayAsk.test(one.target))
  /** Many were under way at once: who it was is found by asking again, one after the other. */
  const culprit = async (stray: string, end: number): Promise<string> => {
    for (let own = Math.max(seed, end - LANES * 4); own < end; own += 1) {
      world.instance.requests.length = 0
      const attack = drawAttack(createSeededRandom(own))
      const answer = await send(world.listener.port, attack)
      if (strayed().length > 0) return told(`made the agent ask for ${stray}`, own, attack, answer)
    }
    return `one of the seeds before ${end} made the agent ask for ${stray}`
  }
  try {
    let next = seed
    let stray: string | undefined
    const lane = async (): Promise<void> => {
      while (next < seed + count && stray === undefined) {
        const own = next
        next += 1
        const attack = drawAttack(createSeededRandom(own))
        const answer = await send(world.listener.port, attack, addressOf(own))
        if (leak.test(answer)) throw new Error(told('brought a secret back', own, attack, answer))
        const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        stray ??= strayed()[0]?.target
        world.instance.requests.length = 0
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane))
    if (stray !== undefined) throw new Error(await culprit(stray, next))
  } finally {
    await world.close()
  }
  return statuses
}

/** How many of the same attacks bring a secret back from the instance itself: proof that they are attacks. */
export async function countLeaksOfInstance({ leak, seed, count }: BypassRun): Promise<number> {
  const world = await openWorld({ lenient: true })
  const port = Number(new URL(world.instanceUrl).port)
  try {
    const answers: string[] = []
    let next = seed
    // Not all at once: on a busy machine most would be cut before the instance had got to them.
    const lane = async (): Promise<void> => {
      while (next < seed + count) {
        const own = next
        next += 1
        answers.push(await send(port, drawAttack(createSeededRandom(own))))
      }
    }
    await Promise.all(Array.from({ length: 16 }, lane))
    return answers.filter((answer) => leak.test(answer)).length
  } finally {
    await world.close()
  }
}

async function send(port: number, { bytes }: Attack, from: string = PODS.app.address): Promise<string> {
  const socket = await dial({ port, from })
  const answer = collect(socket, 400)
  // Not half-closed: who closes first keeps the port for a minute, and a hundred thousand of ours are not to be had.
  socket.once('end', () => socket.resetAndDestroy())
  socket.write(bytes)
  return (await answer).toString('latin1')
}

const isOwnToken = (one: { method: string; target: string }): boolean =>
  one.method === 'PUT' && one.target === '/latest/api/token'

const told = (what: string, seed: number, { bytes }: Attack, answer: string): string =>
  `seed ${seed} ${what}\nbytes: ${JSON.stringify(bytes.toString('latin1'))}\nanswer: ${JSON.stringify(answer.slice(0, 600))}`
