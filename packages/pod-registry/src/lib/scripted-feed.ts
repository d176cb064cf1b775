import type { Feed, FeedEvent } from './feed.ts'

/** A feed that says what a test tells it to, in that order. */
export interface ScriptedFeed<Item> extends Feed<Item> {
  /** Queues an event; who follows the feed sees it in a later microtask. */
  push(event: FeedEvent<Item>): void
  snapshot(...items: Item[]): void
  upsert(item: Item): void
  delete(item: Item): void
  progress(): void
  stale(message?: string): void
}

/** Makes a feed for one follower. Events that are pushed before it follows are kept for it. */
export function createScriptedFeed<Item>(): ScriptedFeed<Item> {
  const queue: FeedEvent<Item>[] = []
  let wake = (): void => {}
  const push = (event: FeedEvent<Item>): void => {
    queue.push(event)
    wake()
  }
  return {
    push,
    snapshot: (...items) => push({ kind: 'snapshot', items }),
    upsert: (item) => push({ kind: 'upsert', item }),
    delete: (item) => push({ kind: 'delete', item }),
    progress: () => push({ kind: 'progress' }),
    stale: (message = 'scripted') => push({ kind: 'stale', code: 'FEED_WATCH_FAILED', message }),
    async *events(signal) {
      const onAbort = (): void => wake()
      signal.addEventListener('abort', onAbort, { once: true })
      while (!signal.aborted) {
        const event = queue.shift()
        if (event !== undefined) {
          yield event
          continue
        }
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
}
