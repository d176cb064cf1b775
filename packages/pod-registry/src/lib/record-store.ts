import type { FeedEvent } from './feed.ts'
import { sameAnnotations } from './pod-index.ts'

interface Annotated {
  readonly annotations: Readonly<Record<string, string>>
}

/** Records of one kind by key, as a feed tells them: namespaces, service accounts. */
export interface RecordStore<Item extends Annotated> {
  get(key: string): Item | undefined
  /** Applies an event; gives the records that are new, different or (`undefined`) gone. */
  apply(event: FeedEvent<Item>): ReadonlyMap<string, Item | undefined>
  values(): IterableIterator<Item>
  readonly size: number
}

export function createRecordStore<Item extends Annotated>(keyOf: (item: Item) => string): RecordStore<Item> {
  let items = new Map<string, Item>()
  return {
    get: (key) => items.get(key),
    apply(event) {
      const changed = new Map<string, Item | undefined>()
      switch (event.kind) {
        case 'snapshot': {
          const next = new Map(event.items.map((item) => [keyOf(item), item]))
          for (const [key, item] of next) if (isDifferent(items.get(key), item)) changed.set(key, item)
          for (const key of items.keys()) if (!next.has(key)) changed.set(key, undefined)
          items = next
          break
        }
        case 'upsert': {
          const key = keyOf(event.item)
          if (isDifferent(items.get(key), event.item)) changed.set(key, event.item)
          items.set(key, event.item)
          break
        }
        case 'delete': {
          const key = keyOf(event.item)
          if (items.delete(key)) changed.set(key, undefined)
          break
        }
        case 'progress':
        case 'resumed':
        case 'stale':
          break
        default:
          event satisfies never
      }
      return changed
    },
    values: () => items.values(),
    get size() {
      return items.size
    },
  }
}

const isDifferent = (before: Annotated | undefined, after: Annotated): boolean =>
  before === undefined || !sameAnnotations(before.annotations, after.annotations)
