/** What happens to a session, at a time. */
export interface Calendar {
  /** Puts an event at a time; times beyond the end are dropped, times that have passed happen in the present slot. */
  put(atMs: number, session: number, generation: number, phase: number): void
  /** Takes the next event of the present slot into `event`; false when the slot is empty. */
  take(): boolean
  readonly event: { session: number; generation: number; phase: number }
  /** Goes to the next slot; false at the end. */
  advance(): boolean
  /** The present slot's time. */
  readonly nowMs: number
}

/**
 * A calendar queue in typed arrays: one list of events per slot of time. Putting and taking cost the same however many
 * events there are, which is what makes tens of millions of renewals a matter of seconds.
 */
export function createCalendar(endMs: number, slotMs: number, expected: number): Calendar {
  const slots = Math.ceil(endMs / slotMs) + 1
  const heads = new Int32Array(slots).fill(-1)
  let size = Math.max(1024, expected * 2)
  let next = new Int32Array(size)
  let sessions = new Int32Array(size)
  let generations = new Uint16Array(size)
  let phases = new Uint8Array(size)
  let used = 0
  let free = -1
  let slot = 0

  const grow = (): void => {
    size *= 2
    const grown = <A extends Int32Array | Uint16Array | Uint8Array>(from: A, to: A): A => {
      to.set(from)
      return to
    }
    next = grown(next, new Int32Array(size))
    sessions = grown(sessions, new Int32Array(size))
    generations = grown(generations, new Uint16Array(size))
    phases = grown(phases, new Uint8Array(size))
  }

  const event = { session: 0, generation: 0, phase: 0 }
  return {
    event,
    get nowMs() {
      return slot * slotMs
    },
    put(atMs, session, generation, phase) {
      const wanted = Math.floor(atMs / slotMs)
      if (wanted >= slots) return
      const at = wanted < slot ? slot : wanted
      let index = free
      if (index === -1) {
        if (used === size) grow()
        index = used
        used += 1
      } else {
        free = next[index] ?? -1
      }
      sessions[index] = session
      generations[index] = generation
      phases[index] = phase
      next[index] = heads[at] ?? -1
      heads[at] = index
    },
    take() {
      const index = heads[slot] ?? -1
      if (index === -1) return false
      heads[slot] = next[index] ?? -1
      next[index] = free
      free = index
      event.session = sessions[index] ?? 0
      event.generation = generations[index] ?? 0
      event.phase = phases[index] ?? 0
      return true
    },
    advance() {
      slot += 1
      return slot < slots
    },
  }
}
