export type { ConfirmAddress, DirectAnswer } from './lib/confirmations.ts'
export type { Feed, FeedErrorCode, FeedEvent } from './lib/feed.ts'
export type { FeedFreshness } from './lib/feed-progress.ts'
export type { Lookup } from './lib/lookup.ts'
export type { PodChange } from './lib/pod-index.ts'
export { holdsAddresses } from './lib/pod-index.ts'
export type {
  Freshness,
  PodRegistry,
  RegistryOptions,
  RegistrySettings,
  RegistrySizes,
  WaitForOptions,
} from './lib/registry.ts'
export { createRegistry } from './lib/registry.ts'
export type { FeedName, RegistryChange, RegistryEvent } from './lib/registry-events.ts'
