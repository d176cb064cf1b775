import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { importRules } from './import-rules.ts'
import { type ImportViolation, importsOf, violations } from './lib/imports.ts'
import { root } from './lib/step.ts'

/** Every forbidden import of the workspace, each with the reason why it is forbidden. */
export function findViolations(): ImportViolation[] {
  const files = globSync('{packages,apps,e2e,bench}/**/*.ts', {
    cwd: root,
    exclude: (name) => /(^|\/)(node_modules|dist)(\/|$)/.test(name),
  })
  return files.flatMap((file) =>
    violations(file, importsOf(readFileSync(`${root}/${file}`, 'utf8')), importRules),
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = findViolations()
  for (const { file, specifier, reason } of found) {
    process.stdout.write(`${file} must not import ${specifier}: ${reason}\n`)
  }
  process.stdout.write(`import directions: ${found.length} forbidden\n`)
  process.exitCode = found.length === 0 ? 0 : 1
}
