import type { Clock } from '@kube2iam-ts/core'
import type { Attachments } from './attachments.ts'

/** When an interface was seen for the first time. */
export interface Sighting {
  /** In which look, counted among the looks that showed something new. */
  readonly order: number
  /** When it was not there yet, at the latest known (`Clock.now`); `undefined`: nobody looked before, or knows when. */
  readonly absentAt: number | undefined
}

/** How old interfaces are, by the order in which they were first seen. */
export interface InterfaceAges {
  /** Looks at what there is. Whatever is seen later for the first time has a higher number than this. */
  look(): number
  /** `undefined` where the interface is not, or no more, or cannot be seen. */
  sightingOf(id: string): Sighting | undefined
}

/** How far the clock has to be set back to be noticed: adjusting it slowly never is. */
const SET_BACK_MS = 1000

/**
 * Numbers interfaces by first sight. The kernel's own index would not do: a veth that moves between namespaces keeps
 * its index, so a younger interface may have a lower one.
 */
export function createInterfaceAges(attachments: Attachments, clock: Clock): InterfaceAges {
  const seen = new Map<string, Sighting>()
  let newest = 0
  let lookedAt: number | undefined
  let ahead = Number.NEGATIVE_INFINITY

  function look(): number {
    const now = clock.now()
    const there = attachments.interfaces()
    // Who cannot be compared with anything is younger than nothing.
    if (there === undefined) return Number.MAX_SAFE_INTEGER
    // After the clock was set back, times before and after cannot be compared; the order of sight still can.
    const nowAhead = now - clock.monotonic()
    const absentAt = nowAhead < ahead - SET_BACK_MS ? undefined : lookedAt
    ahead = nowAhead
    for (const id of seen.keys()) if (!there.has(id)) seen.delete(id)
    const isFirst = lookedAt === undefined
    let sighting: Sighting | undefined
    for (const id of there) {
      if (seen.has(id)) continue
      sighting ??= { order: isFirst ? 0 : newest + 1, absentAt }
      seen.set(id, sighting)
    }
    newest = sighting?.order ?? newest
    lookedAt = now
    return newest
  }

  return {
    look,
    sightingOf(id) {
      if (!seen.has(id)) look()
      return seen.get(id)
    },
  }
}
