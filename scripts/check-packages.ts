import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { members, root } from './lib/step.ts'

interface Manifest {
  name?: string
  version?: string
  description?: string
  license?: string
  type?: string
  engines?: { node?: string }
  exports?: Record<string, string>
  publishConfig?: { access?: string; exports?: Record<string, unknown> }
  files?: string[]
  repository?: { directory?: string }
}

/** Keeps the published manifests alike: what differs between them should differ on purpose. */
function problemsOf(folder: string): string[] {
  const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as Manifest
  const problems: string[] = []
  const want = (holds: boolean, problem: string) => {
    if (!holds) problems.push(problem)
  }
  want(manifest.name === `@kube2iam-ts/${folder.split('/')[1]}`, 'name is not @kube2iam-ts/FOLDER')
  want(manifest.license === 'Apache-2.0', 'license is not Apache-2.0')
  want(manifest.type === 'module', 'type is not module')
  want(manifest.engines?.node === '>=22.19.0', 'engines.node is not >=22.19.0, what undici 8 needs')
  want((manifest.description ?? '').length > 20, 'description says too little')
  want(manifest.publishConfig?.access === 'public', 'publishConfig.access is not public')
  want(manifest.files?.includes('dist') === true, 'files does not name dist')
  const source = Object.keys(manifest.exports ?? {})
  const published = Object.keys(manifest.publishConfig?.exports ?? {})
  want(
    source.join() === published.join(),
    `exports (${source.join()}) and publishConfig.exports (${published.join()}) name different entries`,
  )
  for (const [entry, target] of Object.entries(manifest.exports ?? {})) {
    want(
      /^\.\/(src\/[a-z-]+\.ts|package\.json|[a-z/.-]+\.json)$/.test(target),
      `${entry} is not a top-level file of src`,
    )
  }
  try {
    const readme = readFileSync(join(root, folder, 'README.md'), 'utf8')
    want(/^(#[^\n]*\n+)?[^\n#].{20,}\./.test(readme), 'README.md does not begin with its one reason')
    want(readme.includes('```'), 'README.md has no example')
  } catch {
    problems.push('README.md is missing')
  }
  return problems
}

let count = 0
for (const folder of members('packages', 'apps')) {
  for (const problem of problemsOf(folder)) {
    count += 1
    process.stdout.write(`${folder}: ${problem}\n`)
  }
}
process.stdout.write(`package manifests: ${count} problems\n`)
process.exitCode = count === 0 ? 0 : 1
