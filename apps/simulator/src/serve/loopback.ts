import type { KubeObject } from '../cluster/objects.ts'
import { dig, digText, keyOf } from '../cluster/objects.ts'

/** Where a pod's requests come from on this machine. */
export interface PodAddress {
  readonly pod: string
  readonly address: string
}

export const nodeLoopback = (index: number): string => `127.44.255.${index + 1}`

/**
 * The same cluster with addresses that exist on this machine: every pod with an address gets one of 127.44.0.0/16, and
 * `self`, the pod that tools on this machine are, gets 127.0.0.1.
 */
export function onLoopback(
  objects: readonly KubeObject[],
  self: string | undefined,
): { readonly objects: readonly KubeObject[]; readonly addresses: readonly PodAddress[] } {
  const nodes = [...new Set(objects.filter(({ kind }) => kind === 'Pod').map(nodeOf))].toSorted()
  const pods = objects.filter(({ kind }) => kind === 'Pod').toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  const byOld = new Map<string, string>()
  const given = new Map<string, string>()
  let next = 0
  for (const pod of pods) {
    const old = digText(pod, 'status', 'podIP')
    if (old === undefined) continue
    const hostNetwork = dig(pod, 'spec', 'hostNetwork') === true
    const key = keyOf(pod)
    if (hostNetwork) given.set(key, nodeLoopback(nodes.indexOf(nodeOf(pod))))
    else if (key === self) given.set(key, '127.0.0.1')
    else {
      // Pods that share an address in the scenario share one here.
      const same = byOld.get(old)
      if (same === undefined) next += 1
      given.set(key, same ?? `127.44.${Math.floor(next / 250)}.${(next % 250) + 1}`)
    }
    if (!hostNetwork) byOld.set(old, given.get(key) ?? '')
  }
  return {
    objects: objects.map((object) => {
      const address = object.kind === 'Pod' ? given.get(keyOf(object)) : undefined
      if (address === undefined) return object
      return {
        ...object,
        status: { ...(object['status'] as object), podIP: address, podIPs: [{ ip: address }] },
      }
    }),
    addresses: [...given].map(([pod, address]) => ({ pod, address })),
  }
}

export const nodeOf = (pod: KubeObject): string => digText(pod, 'spec', 'nodeName') ?? 'node-1'
