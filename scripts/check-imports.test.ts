import { expect, test } from 'vitest'
import { findViolations } from './check-imports.ts'
import { importRules } from './import-rules.ts'
import { importsOf, violations } from './lib/imports.ts'

const check = (file: string, source: string) => violations(file, importsOf(source), importRules)

test('the workspace has no forbidden import', () => {
  expect(findViolations()).toEqual([])
})

test.each([
  ['packages/core/src/lib/x.ts', `import { a } from '@kube2iam-ts/pod-registry'`],
  ['packages/pod-registry/src/lib/x.ts', `export { a } from '@kube2iam-ts/role-policy'`],
  ['packages/role-policy/src/lib/x.ts', `const a = await import('@kube2iam-ts/agent-runtime')`],
  ['packages/agent-runtime/src/lib/x.ts', `import type { A } from '@kube2iam-ts/simulator'`],
  ['packages/agent-runtime/src/lib/x.ts', `import { f } from '@kube2iam-ts/pod-registry/testing'`],
  ['apps/agent/src/main.ts', `import { f } from '@kube2iam-ts/credential-broker/testing'`],
  ['apps/agent/src/wire.ts', `import { f } from '@kube2iam-ts/simulator'`],
  ['packages/role-policy/src/lib/x.ts', `import { STSClient } from '@aws-sdk/client-sts'`],
  [
    'packages/metadata-emulator/src/lib/x.ts',
    `const { exec } = process.getBuiltinModule('node:child_process')`,
  ],
  ['packages/credential-broker/src/lib/x.ts', `import { Registry } from 'prom-client'`],
  ['packages/core/src/lib/x.ts', `import { a } from './clock'`],
])('%s may not say %s', (file, source) => {
  expect(check(file, source)).toHaveLength(1)
  expect(check(file, source)[0]?.reason).toMatch(/\w{4}/)
})

test.each([
  ['apps/agent/src/wire.ts', `import { createRegistry } from '@kube2iam-ts/pod-registry'`],
  ['apps/simulator/src/world.ts', `import { createFakeSts } from '@kube2iam-ts/credential-broker/testing'`],
  [
    'packages/credential-broker/src/lib/aws-token-service.ts',
    `import { STSClient } from '@aws-sdk/client-sts'`,
  ],
  ['packages/pod-registry/src/lib/registry.test.ts', `import { f } from '@kube2iam-ts/core/testing'`],
  ['packages/core/src/lib/x.ts', `// import { a } from '@kube2iam-ts/pod-registry'`],
])('%s may say %s', (file, source) => {
  expect(check(file, source)).toEqual([])
})
