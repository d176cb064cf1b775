export type { FakeRole } from './lib/fake-sts/assume-role.ts'
export type { FakePrincipal, FakeSts, FakeStsCall, FakeStsOptions } from './lib/fake-sts/fake-sts.ts'
export { createFakeSts } from './lib/fake-sts/fake-sts.ts'
export type { FakeStsFaults } from './lib/fake-sts/faults.ts'
export type { TrustPolicy, TrustStatement } from './lib/fake-sts/trust-policy.ts'
export type {
  FakeBehaviour,
  FakeTokenService,
  FakeTokenServiceCall,
  FakeTokenServiceOptions,
} from './lib/fake-token-service.ts'
export { createFakeTokenService } from './lib/fake-token-service.ts'
