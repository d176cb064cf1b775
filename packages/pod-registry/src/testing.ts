export type {
  FakeApiChange,
  FakeApiRequest,
  FakeApiServer,
  FakeApiServerOptions,
  FakeApiTls,
} from './lib/fake-api/fake-api-server.ts'
export type { FailRule, FakeApiFaults } from './lib/fake-api/faults.ts'
export type { KubernetesObject, Manifest, ObjectMeta } from './lib/fake-api/objects.ts'
export { createFakeApiServer } from './lib/fake-api/server.ts'
export type { CertificateRequest, IssuedCertificate, TestAuthority } from './lib/fake-api/test-authority.ts'
export { createTestAuthority } from './lib/fake-api/test-authority.ts'
export type { TokenOwner } from './lib/fake-api/token-reviews.ts'
export type { FakeAttachments } from './lib/fake-attachments.ts'
export { createFakeAttachments } from './lib/fake-attachments.ts'
export type { ScriptedFeed } from './lib/scripted-feed.ts'
export { createScriptedFeed } from './lib/scripted-feed.ts'
