import type { Clock } from '@kube2iam-ts/core'
import { dressed, undressed } from './event-forms.ts'
import { checkChangedEvent, checkNewEvent } from './event-rules.ts'
import { createNamespaceController } from './namespace-controller.ts'
import { type ObjectStore, timestamp } from './object-store.ts'
import { at, type KubernetesObject, list, type Manifest } from './objects.ts'
import { applyPatch } from './patches.ts'
import type { Target } from './request-target.ts'
import { type Resource, resourceOfKind } from './resources.ts'
import { type ApplyOptions, createServerSideApply } from './server-side-apply.ts'
import { badRequest, forbidden, notFound } from './statuses.ts'

/** What clients write, with the rules that the API server adds to the store's. */
export interface Writes {
  /** Throws 404 where there is none. */
  existing(target: Target): KubernetesObject
  create(target: Target, body: unknown): KubernetesObject
  replace(target: Target, body: KubernetesObject): KubernetesObject
  patch(target: Target, contentType: string, body: unknown): KubernetesObject
  /** Creates or changes, as `kubectl apply --server-side` asks for. */
  apply(target: Target, wishes: Manifest, options: ApplyOptions): KubernetesObject
  remove(target: Target, graceSeconds: number | undefined): KubernetesObject
  close(): void
}

export interface WritesOptions {
  store: ObjectStore
  clock: Clock
  gracefulDeletion: boolean
}

export function createWrites({ store, clock, gracefulDeletion }: WritesOptions): Writes {
  const serverSide = createServerSideApply()
  store.subscribe(({ type, object }) => {
    if (type === 'DELETED') serverSide.forget(object.metadata.uid)
  })
  const controller = createNamespaceController({
    store,
    clock,
    remove: (resource, object) => void removeObject(resource, object, undefined),
  })

  return {
    existing,
    create,
    replace,
    patch(target, contentType, body) {
      const before = dressed(existing(target), target.group)
      return replace(target, applyPatch(contentType, before, body) as KubernetesObject)
    },
    apply(target, wishes, options) {
      const { resource, namespace, name = '' } = target
      const before = store.get(resource, namespace, name)
      const wished = serverSide.apply(before && dressed(before, target.group), wishes, options)
      const written =
        before === undefined ? create(target, wished) : replace(target, wished as KubernetesObject)
      serverSide.applied(written.metadata.uid, wishes, options)
      return written
    },
    remove: ({ resource, ...target }, graceSeconds) =>
      removeObject(resource, existing({ resource, ...target }), graceSeconds),
    close: () => controller.close(),
  }

  function existing({ resource, namespace, name = '' }: Target): KubernetesObject {
    const object = store.get(resource, namespace, name)
    if (object === undefined) throw notFound(resource, name)
    return object
  }

  function create(target: Target, body: unknown): KubernetesObject {
    const { resource, namespace } = target
    const manifest = undressed(body as Manifest)
    if (typeof manifest?.metadata !== 'object') throw badRequest('the body is not a Kubernetes object')
    if (namespace !== undefined) {
      if ((manifest.metadata.namespace ?? namespace) !== namespace) {
        throw badRequest(
          'the namespace of the provided object does not match the namespace sent on the request',
        )
      }
      const around = store.get(NAMESPACES, undefined, namespace)
      if (around === undefined) throw notFound(NAMESPACES, namespace)
      if (around.metadata.deletionTimestamp !== undefined) {
        const name = JSON.stringify(manifest.metadata.name ?? '')
        throw forbidden(
          `${resource.plural} ${name} is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
        )
      }
    }
    const { deletionTimestamp: _, ...metadata } = manifest.metadata
    const given = { ...manifest, metadata: { ...metadata, ...(namespace && { namespace }) } }
    return store.create(resource, given, (object) => {
      if (resource.kind === 'Event') checkNewEvent(object, target.group)
    })
  }

  function replace(target: Target, body: KubernetesObject): KubernetesObject {
    const before = existing(target)
    const changed =
      target.subresource === 'status'
        ? { ...before, status: withAddresses(body['status']) }
        : { ...undressed(body), metadata: { ...body.metadata, name: before.metadata.name } }
    const { deletionTimestamp } = before.metadata
    const metadata = { ...changed.metadata, ...(deletionTimestamp && { deletionTimestamp }) }
    const object = {
      ...changed,
      apiVersion: before.apiVersion,
      kind: before.kind,
      metadata,
    } as KubernetesObject
    if (target.resource.kind === 'Event') checkChangedEvent(object, before, target.group)
    return store.replace(target.resource, object, body.metadata?.resourceVersion)
  }

  function removeObject(resource: Resource, object: KubernetesObject, graceSeconds = 30): KubernetesObject {
    const { namespace, name } = object.metadata
    if (resource.kind === 'Namespace') return controller.terminate(object)
    if (!gracefulDeletion || resource.kind !== 'Pod' || graceSeconds === 0) {
      return store.remove(resource, namespace, name)
    }
    // As the API server does for a pod that a kubelet looks after: mark it, and leave it until the node is done.
    const deletionTimestamp = timestamp(clock.now() + graceSeconds * 1000)
    const metadata = { ...object.metadata, deletionTimestamp, deletionGracePeriodSeconds: graceSeconds }
    return store.replace(resource, { ...object, metadata })
  }
}

/** `podIP` and the first of `podIPs` are one: who writes one of them has written both. */
function withAddresses(status: unknown): unknown {
  const [first] = list(at(status, 'podIPs'))
  const podIP = at(first, 'ip')
  return podIP === undefined ? status : { ...(status as object), podIP }
}

const NAMESPACES = resourceOfKind('Namespace') as Resource
