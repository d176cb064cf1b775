export type { Listener, ListenerLimits, ListenOptions } from './lib/listener.ts'
export { defaultListenerLimits, listen } from './lib/listener.ts'
export type { InstanceMetadataOptions } from './lib/upstream.ts'
export { createInstanceMetadata } from './lib/upstream.ts'
