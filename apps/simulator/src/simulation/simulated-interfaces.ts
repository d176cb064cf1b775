import { toIpAddress } from '@kube2iam-ts/core'
import type { Attachments } from '@kube2iam-ts/pod-registry'
import {
  createFakeAttachments,
  type FakeApiServer,
  type KubernetesObject,
} from '@kube2iam-ts/pod-registry/testing'
import { digList, digText, nodeNameOf } from '../cluster/objects.ts'

export interface SimulatedInterfaces {
  readonly attachments: Attachments
  close(): void
}

/**
 * The interfaces that a node's CNI makes for its pods: one when a pod gets its addresses, gone with the pod. They follow
 * the API server's own state at once, however far behind the watch of an agent is.
 */
export function createSimulatedInterfaces(api: FakeApiServer, node: string): SimulatedInterfaces {
  const attachments = createFakeAttachments()
  attachments.attach('eth0')
  /** By UID: the interface, and for which addresses it was made. */
  const made = new Map<string, { name: string; addresses: string }>()
  let count = 0

  const update = (pod: KubernetesObject, isThere: boolean): void => {
    const uid = pod.metadata.uid ?? ''
    const addresses = isThere ? addressesOf(pod, node) : []
    const known = made.get(uid)
    if (known?.addresses === addresses.join()) return
    if (known !== undefined) attachments.detach(known.name)
    made.delete(uid)
    if (addresses.length === 0) return
    count += 1
    const name = `veth${count}`
    attachments.attach(name, ...addresses)
    made.set(uid, { name, addresses: addresses.join() })
  }

  for (const pod of api.list('Pod')) update(pod, true)
  const close = api.subscribe(({ type, object }) => {
    if (object.kind === 'Pod') update(object, type !== 'DELETED')
  })
  return { attachments, close }
}

function addressesOf(pod: KubernetesObject, node: string) {
  const phase = digText(pod, 'status', 'phase')
  const { hostNetwork } = (pod['spec'] ?? {}) as { readonly hostNetwork?: boolean }
  if (nodeNameOf(pod) !== node || hostNetwork === true || phase === 'Succeeded' || phase === 'Failed')
    return []
  return digList(pod, 'status', 'podIPs').flatMap((entry) => toIpAddress(digText(entry, 'ip') ?? '') ?? [])
}
