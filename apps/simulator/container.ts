// Makes the folder that the simulator's image is built in: `node apps/simulator/container.ts FOLDER`.
import { execFileSync } from 'node:child_process'
import { copyFileSync, globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

const [target] = process.argv.slice(2)
if (target === undefined) throw new Error('usage: node apps/simulator/container.ts FOLDER')
const folder = resolve(target)
const root = join(import.meta.dirname, '../..')
const env = { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}` }
const run = (command: string, args: readonly string[], cwd: string): void => {
  execFileSync(command, args, { cwd, env, stdio: ['ignore', 'ignore', 'inherit'] })
}
const tarballs = mkdtempSync(join(tmpdir(), 'kube2iam-sim-image-'))
try {
  run('turbo', ['run', 'build', '--output-logs=errors-only'], root)
  for (const manifest of globSync('{packages,apps}/*/package.json', { cwd: root })) {
    run('pnpm', ['pack', '--pack-destination', tarballs], join(root, dirname(manifest)))
  }
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"private": true}\n')
  const files = globSync('*.tgz', { cwd: tarballs }).map((file) => join(tarballs, file))
  run('npm', ['install', '--omit=dev', '--no-audit', '--no-fund', '--no-package-lock', ...files], folder)
  copyFileSync(join(import.meta.dirname, 'Dockerfile'), join(folder, 'Dockerfile'))
} finally {
  rmSync(tarballs, { recursive: true, force: true })
}
