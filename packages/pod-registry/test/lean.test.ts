import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const SRC = fileURLToPath(new URL('../src', import.meta.url))

/** Everything outside the package that is loaded with the file; `import()` is not loading. */
function loadedBy(file: string, seen = new Set<string>()): Set<string> {
  const outside = new Set<string>()
  if (seen.has(file)) return outside
  seen.add(file)
  const text = readFileSync(file, 'utf8')
  for (const [statement, specifier = ''] of text.matchAll(/^(?:import|export)\b[^;']*?from '([^']+)'/gms)) {
    if (/^(?:import|export) type\b/.test(statement)) continue
    if (!specifier.startsWith('.')) outside.add(specifier)
    else for (const found of loadedBy(join(dirname(file), specifier), seen)) outside.add(found)
  }
  return outside
}

test('the registry itself loads no Kubernetes client, no HTTP client and no file system', () => {
  expect([...loadedBy(join(SRC, 'index.ts'))]).toEqual(['@kube2iam-ts/core'])
})

test('the adapter loads undici, and client-node only when a kubeconfig is read', () => {
  const loaded = loadedBy(join(SRC, 'kubernetes.ts'))
  expect(loaded).toContain('undici')
  expect([...loaded].filter((name) => /client-node|js-yaml/.test(name))).toEqual([])
  expect(loadedBy(join(SRC, 'lib/kubeconfig-cluster.ts'))).toContain('@kubernetes/client-node/dist/config.js')
})
