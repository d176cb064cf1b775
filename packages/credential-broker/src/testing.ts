export { StsRefusal } from './lib/fake-sts/answers.ts'
export type { Assumed, FakeRole, Surroundings } from './lib/fake-sts/assume-role.ts'
export { assumeRole, partsOf } from './lib/fake-sts/assume-role.ts'
export type { AssumeRoleRequest } from './lib/fake-sts/assume-role-request.ts'
export type { FakePrincipal, FakeSts, FakeStsCall, FakeStsOptions } from './lib/fake-sts/fake-sts.ts'
export { createFakeSts } from './lib/fake-sts/fake-sts.ts'
export type { FakeStsFaults } from './lib/fake-sts/faults.ts'
export type { ParsedTrustPolicy, TrustPolicyProblem } from './lib/fake-sts/parse-trust-policy.ts'
export { parseTrustPolicy } from './lib/fake-sts/parse-trust-policy.ts'
export type { Caller } from './lib/fake-sts/sessions.ts'
export type { TrustPolicy, TrustStatement } from './lib/fake-sts/trust-policy.ts'
export type {
  FakeBehaviour,
  FakeTokenService,
  FakeTokenServiceCall,
  FakeTokenServiceOptions,
} from './lib/fake-token-service.ts'
export { createFakeTokenService } from './lib/fake-token-service.ts'
export { toStsError } from './lib/sts-errors.ts'
