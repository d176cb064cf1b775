export type { FakeCaller, FakeCredentialService } from './lib/fake-credential-service.ts'
export { createFakeCredentialService } from './lib/fake-credential-service.ts'
export type {
  FakeInstance,
  FakeInstanceFaults,
  FakeInstanceOptions,
  RecordedRequest,
} from './lib/fake-instance.ts'
export { createFakeInstance } from './lib/fake-instance.ts'
export type { NodeCredentials } from './lib/fake-instance-tree.ts'
