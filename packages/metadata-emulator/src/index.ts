export type {
  Caller,
  CallerAnswer,
  CredentialService,
  CredentialsAnswer,
  Patience,
  RefusalCode,
  Refused,
  RoleAnswer,
} from './lib/credential-service.ts'
export type { Emulator, EmulatorOptions } from './lib/emulator.ts'
export { createEmulator } from './lib/emulator.ts'
export type { BugEvent, EmulatorEvent, RejectedEvent, RequestEvent, UpstreamEvent } from './lib/events.ts'
export type { Outcome } from './lib/faults.ts'
export { createMemoryTokenKeys } from './lib/memory-token-keys.ts'
export type { EmulatorRequest, Handler, Reply, RequestHeaders } from './lib/message.ts'
export type { MetadataAllow } from './lib/metadata-allow.ts'
export { parseMetadataAllow } from './lib/metadata-allow.ts'
export type { MetadataPreset, PresetDescription } from './lib/metadata-presets.ts'
export { METADATA_PRESETS } from './lib/metadata-presets.ts'
export type { RateLimiter, RateLimiterOptions } from './lib/rate-limit.ts'
export { createRateLimiter } from './lib/rate-limit.ts'
export type { Route, RouteName } from './lib/routes.ts'
export { classify } from './lib/routes.ts'
export type { EmulatorSettings } from './lib/settings.ts'
export { defaultEmulatorSettings } from './lib/settings.ts'
export type { TokenKey, TokenKeys, TokenKeysEvent, TokenKeysStatus } from './lib/token-keys.ts'
export type { Upstream, UpstreamAnswer } from './lib/upstream-port.ts'
