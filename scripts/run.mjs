// Entry of every root script. Runs on whatever Node started it (20 or newer): installs the workspace with the
// pinned pnpm, which brings the Node that the tools need, and hands over to scripts/tasks/<name>.ts on that Node.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const [task, ...args] = process.argv.slice(2)
const taskFile = join(root, 'scripts', 'tasks', `${task}.ts`)
if (task === undefined || !existsSync(taskFile)) {
  console.error(`run.mjs: no such task: ${task ?? '(none)'}`)
  process.exit(2)
}

const env = {
  ...process.env,
  PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH ?? ''}`,
  TURBO_TELEMETRY_DISABLED: '1',
  DO_NOT_TRACK: '1',
  // No SDK in a test may go looking for the real metadata service.
  AWS_EC2_METADATA_DISABLED: 'true',
}
for (const name of Object.keys(env)) {
  // npm exports its own settings to its scripts; pnpm would read them as its own and warn about each.
  if (/^npm_config_/i.test(name) && !/registry|proxy|ca(file)?$/i.test(name)) delete env[name]
}

install()
const node = join(root, 'node_modules', '.bin', 'node')
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (!existsSync(node) && (major < 22 || (major === 22 && minor < 19))) {
  console.error(
    `For ${process.platform} on ${process.arch} the npm registry has no Node to bring along, and this one is ${process.version}: run it with Node 22.19 or newer.`,
  )
  process.exit(1)
}
const child = spawn(existsSync(node) ? node : process.execPath, [taskFile, ...args], {
  cwd: root,
  env,
  stdio: 'inherit',
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : 1
})

/** Installs when the lockfile or the root's manifest is not what was installed last; says nothing when all is in place. */
function install() {
  const stamp = join(root, 'node_modules', '.kube2iam-installed')
  const lock = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint(lock)) return
  const pnpm = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager
  console.error(`Installing the workspace with ${pnpm} …`)
  const result = spawnSync('npx', ['-y', pnpm, 'install', '--frozen-lockfile', '--reporter=append-only'], {
    cwd: root,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  })
  if (result.status !== 0) {
    rmSync(stamp, { force: true })
    console.error(result.stdout ?? '', result.stderr ?? '')
    console.error('The installation failed; the lines above say why. It needs access to an npm registry.')
    process.exit(1)
  }
  writeFileSync(stamp, fingerprint(lock))
}

function fingerprint(lock) {
  const manifest = readFileSync(join(root, 'package.json'))
  return createHash('sha256').update(lock).update('\0').update(manifest).digest('hex')
}
