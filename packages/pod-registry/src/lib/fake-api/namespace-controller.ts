import type { Cancel, Clock } from '@kube2iam-ts/core'
import { type ObjectStore, timestamp } from './object-store.ts'
import type { KubernetesObject } from './objects.ts'
import { RESOURCES, type Resource } from './resources.ts'

/** Takes a namespace away in the two steps that Kubernetes needs: it is `Terminating` until all that is in it is gone. */
export interface NamespaceController {
  /** Marks the namespace; what is in it, and it itself, go later. Says what it is now. */
  terminate(namespace: KubernetesObject): KubernetesObject
  close(): void
}

export interface NamespaceControllerOptions {
  store: ObjectStore
  clock: Clock
  /** Deletes one object as a client would. */
  remove: (resource: Resource, object: KubernetesObject) => void
}

/** Until the controller sees a mark, and between its looks. The real one takes about five seconds. */
const LOOK_AFTER_MS = 2000

export function createNamespaceController(options: NamespaceControllerOptions): NamespaceController {
  const { store, clock } = options
  const pending = new Map<string, Cancel>()

  return {
    terminate(namespace) {
      const { name, deletionTimestamp } = namespace.metadata
      if (deletionTimestamp !== undefined) return namespace
      look(name)
      const status = { ...(namespace['status'] as object | undefined), phase: 'Terminating' }
      const metadata = { ...namespace.metadata, deletionTimestamp: timestamp(clock.now()) }
      return store.replace(NAMESPACES, { ...namespace, metadata, status })
    },
    close() {
      for (const cancel of pending.values()) cancel()
      pending.clear()
    },
  }

  function look(name: string): void {
    pending.set(
      name,
      clock.after(LOOK_AFTER_MS, () => {
        pending.delete(name)
        if (store.get(NAMESPACES, undefined, name)?.metadata.deletionTimestamp === undefined) return
        for (const [resource, object] of contents(name)) {
          if (object.metadata.deletionTimestamp === undefined) options.remove(resource, object)
        }
        if (contents(name).length === 0) store.remove(NAMESPACES, undefined, name)
        else look(name)
      }),
    )
  }

  function contents(name: string): (readonly [Resource, KubernetesObject])[] {
    return RESOURCES.filter(({ namespaced }) => namespaced).flatMap((resource) =>
      store.list(resource, name).map((object) => [resource, object] as const),
    )
  }
}

const NAMESPACES = RESOURCES.find(({ kind }) => kind === 'Namespace') as Resource
