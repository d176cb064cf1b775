import { type Cancel, type Grant, grantKey } from '@kube2iam-ts/core'
import type { SessionOwner } from './broker-port.ts'
import type { SessionFacts } from './events.ts'
import { isSameGrant } from './same-grant.ts'
import type { SessionLife } from './session-life.ts'
import type { FailureCode, StsCall } from './sts-calls.ts'
import type { IssuedSession } from './token-service.ts'

/** A refusal or a failure that is remembered, and until when (`Clock.monotonic`). */
interface Remembered<Code> {
  readonly code: Code
  readonly message: string
  readonly until: number
}

/** That an entry is held for a pod. */
export interface Hold {
  readonly owner: SessionOwner
  /** The agent said that it is to be kept ready for the pod. */
  wanted: boolean
  /** Whether an event has named the pod as one that has the session. */
  told: boolean
}

/** A session and how long it is good. */
export type LiveSession = IssuedSession & { readonly life: SessionLife }

/** What is held under one grant key, and what is going on about it. */
export interface Entry {
  readonly key: string
  readonly grant: Grant
  readonly owners: Map<string, Hold>
  session: LiveSession | undefined
  /** Until when a pod that was given the session is expected to ask again (`Clock.monotonic`). */
  usedUntil: number
  /** It was time to renew, and nobody needed it: whoever asks next does. */
  idle: boolean
  flight: { readonly call: StsCall; readonly settled: Promise<void> } | undefined
  denial: Remembered<'STS_DENIED' | 'STS_INVALID'> | undefined
  /** Denials and failures in a row: each makes the next wait longer. */
  denials: number
  failure: Remembered<FailureCode> | undefined
  failures: number
  /** The one thing that will happen to it without anybody asking. */
  timer: Cancel | undefined
}

/** Who holds what: entries by the whole grant, and by the pods that they are held for. */
export interface Holdings {
  readonly entries: ReadonlyMap<string, Entry>
  /** The entry of exactly this grant; made if there is none. */
  of(grant: Grant, uid: string): Entry
  own(entry: Entry, owner: SessionOwner): Hold
  disown(entry: Entry, uid: string): void
  heldFor(uid: string): readonly Entry[]
  isHeld(entry: Entry): boolean
  remove(entry: Entry): void
}

export function createHoldings(): Holdings {
  const entries = new Map<string, Entry>()
  const byPod = new Map<string, Set<Entry>>()

  function forget(entry: Entry, uid: string): void {
    const held = byPod.get(uid)
    held?.delete(entry)
    if (held?.size === 0) byPod.delete(uid)
  }

  return {
    entries,
    of(grant, uid) {
      // A pod that asks again asks for what it holds as a rule: comparing is cheaper than hashing.
      for (const entry of byPod.get(uid) ?? []) if (isSameGrant(entry.grant, grant)) return entry
      const key = grantKey(grant)
      const known = entries.get(key)
      if (known !== undefined) return known
      const entry = emptyEntry(key, grant)
      entries.set(key, entry)
      return entry
    },
    own(entry, owner) {
      const known = entry.owners.get(owner.uid)
      if (known !== undefined) return known
      const hold: Hold = { owner, wanted: false, told: false }
      entry.owners.set(owner.uid, hold)
      const held = byPod.get(owner.uid)
      if (held === undefined) byPod.set(owner.uid, new Set([entry]))
      else held.add(entry)
      return hold
    },
    disown(entry, uid) {
      entry.owners.delete(uid)
      forget(entry, uid)
    },
    heldFor: (uid) => [...(byPod.get(uid) ?? [])],
    isHeld: (entry) => entries.get(entry.key) === entry,
    remove(entry) {
      entries.delete(entry.key)
      for (const uid of entry.owners.keys()) forget(entry, uid)
    },
  }
}

/** Whether some pod is to find it ready. */
export function isWanted(entry: Entry): boolean {
  for (const { wanted } of entry.owners.values()) if (wanted) return true
  return false
}

/** What events say about an entry. */
export const factsOf = ({ owners, grant }: Entry): SessionFacts => ({
  owners: [...owners.values()].map(({ owner }) => owner),
  role: grant.role.text,
  sessionName: grant.sessionName,
})

const emptyEntry = (key: string, grant: Grant): Entry => ({
  key,
  grant,
  owners: new Map(),
  session: undefined,
  usedUntil: 0,
  idle: false,
  flight: undefined,
  denial: undefined,
  denials: 0,
  failure: undefined,
  failures: 0,
  timer: undefined,
})
