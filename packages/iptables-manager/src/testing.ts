export type { FakeFate, FakePacket } from './lib/fake-kernel.ts'
export type { FakeConnection, FakeFaults, FakeNetfilter, FakeNetfilterOptions } from './lib/fake-netfilter.ts'
export { createFakeNetfilter } from './lib/fake-netfilter.ts'
export { kubeProxyRules } from './lib/kube-proxy-rules.ts'
