import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from './lib/step.ts'

// Packs a built member as it would be published and looks at the tarball: publint for its shape, are-the-types-wrong
// for what TypeScript users will resolve.
const folder = process.argv[2]
if (folder === undefined) throw new Error('usage: check-packed.ts FOLDER')
const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as { exports?: unknown }
const target = mkdtempSync(join(tmpdir(), 'kube2iam-pack-'))
const run = (command: string, args: string[]) => {
  try {
    return execFileSync(command, args, { cwd: join(root, folder), encoding: 'utf8', stdio: 'pipe' })
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    process.stdout.write(`${command} ${args.join(' ')}\n${stdout}${stderr}`)
    process.exitCode = 1
    return ''
  }
}
try {
  const listed = run('pnpm', ['pack', '--json', '--pack-destination', target])
  const tarball = (JSON.parse(listed.slice(listed.indexOf('{'))) as { filename: string }).filename
  run('publint', ['--strict', tarball])
  if (manifest.exports !== undefined) run('attw', ['--profile', 'esm-only', '--no-emoji', tarball])
} finally {
  rmSync(target, { recursive: true, force: true })
}
