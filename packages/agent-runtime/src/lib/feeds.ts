import type { PodIdentity, ServiceAccountRecord } from '@kube2iam-ts/core'
import type { Feed, FeedEvent } from '@kube2iam-ts/pod-registry'

/** The same feed, with each item that it brings shown to somebody on the way. */
export function watched(feed: Feed<PodIdentity>, onPod: (pod: PodIdentity) => void): Feed<PodIdentity> {
  return mapped(feed, (pod) => {
    onPod(pod)
    return pod
  })
}

/** Service accounts whose role stands under the first of the keys, whichever of them it was written under. */
export function foldedRoleKeys(
  feed: Feed<ServiceAccountRecord>,
  keys: readonly string[],
): Feed<ServiceAccountRecord> {
  const [first] = keys
  return mapped(feed, (account) => {
    const written = keys.find((key) => account.annotations[key] !== undefined)
    if (first === undefined || written === undefined || written === first) return account
    return {
      ...account,
      annotations: { ...account.annotations, [first]: account.annotations[written] ?? '' },
    }
  })
}

function mapped<Item>(feed: Feed<Item>, map: (item: Item) => Item): Feed<Item> {
  return {
    async *events(signal) {
      for await (const event of feed.events(signal)) yield mapEvent(event, map)
    },
  }
}

function mapEvent<Item>(event: FeedEvent<Item>, map: (item: Item) => Item): FeedEvent<Item> {
  switch (event.kind) {
    case 'snapshot':
      return { ...event, items: event.items.map(map) }
    case 'upsert':
      return { ...event, item: map(event.item) }
    case 'delete':
    case 'progress':
    case 'resumed':
    case 'stale':
      return event
    default:
      return event satisfies never
  }
}
