import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

/*
 * Builds the image with nothing but Debian's package mirror: a Debian base made by debootstrap, Node from the npm
 * package that the workspace is locked to, and buildah. For CI and for machines that reach no image registry.
 *
 *   node deploy/container/build.ts [--tag NAME] [--unpack DIR] [--json]
 *
 * The base and buildah's storage are kept in the user's cache folder; --unpack writes the image's root file system.
 */
const { values: options } = parseArgs({
  options: {
    tag: { type: 'string', default: 'localhost/kube2iam-ts:dev' },
    unpack: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})

const root = join(import.meta.dirname, '..', '..')
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'kube2iam-ts')
const suite = 'bookworm'
const dockerfile = join(root, 'deploy', 'container', 'Dockerfile')
const packages = /^ARG PACKAGES="(.*)"$/m.exec(readFileSync(dockerfile, 'utf8'))?.[1]?.split(' ') ?? []

function main(): void {
  if (process.env[LOCKED] === undefined) return lockAndRunAgain()
  refuseUnless(process.getuid?.() === 0, 'debootstrap and buildah --isolation chroot need root')
  for (const tool of ['buildah', 'debootstrap']) {
    refuseUnless(spawnSync(tool, ['--version']).status === 0, `${tool} is missing: apt-get install ${tool}`)
  }
  const bundle = join(root, 'apps', 'agent', 'dist', 'main.cjs')
  refuseUnless(existsSync(bundle), 'apps/agent/dist/main.cjs is missing: npm run build')

  const base = baseImage()
  const node = nodeImage()
  const args = ['--build-arg', `BASE=${base}`, '--build-arg', `NODE=${node}`]
  buildah('bud', '--isolation', 'chroot', '--pull-never', ...args, '-f', dockerfile, '-t', options.tag, root)
  // What this build left half-way, and the image that had the name before.
  buildah('rm', '--all')
  buildah('rmi', '--prune')
  const report = describe()
  if (options.unpack !== undefined) unpack(options.unpack)
  process.stdout.write(
    options.json
      ? `${JSON.stringify(report)}\n`
      : `${options.tag}: ${mebibytes(report.bytes)} on disk, ${mebibytes(report.compressedBytes)} to pull\n`,
  )
}

const LOCKED = 'KUBE2IAM_IMAGE_BUILD_LOCKED'

/** Two builds at once would clean up after each other: the storage is used by one at a time. */
function lockAndRunAgain(): void {
  mkdirSync(cache, { recursive: true })
  const again = [join(cache, 'lock'), process.execPath, ...process.argv.slice(1)]
  const result = spawnSync('flock', again, { stdio: 'inherit', env: { ...process.env, [LOCKED]: '1' } })
  if (result.error !== undefined) say(`build.ts: cannot run flock: ${result.error.message}`)
  process.exitCode = result.status ?? 1
}

/** A minimal Debian with the packages of the build stage, so that the Dockerfile has nothing to download. */
function baseImage(): string {
  const name = `localhost/kube2iam-debian:${suite}-${digest(packages.join(' '))}`
  if (exists(name)) return name
  const archive = join(cache, `debian-${suite}-${digest(packages.join(' '))}.tar`)
  if (!existsSync(archive)) {
    for (const old of readdirSync(cache).filter((entry) => entry.startsWith('debian-')))
      rmSync(join(cache, old))
    const folder = mkdtempSync(join(tmpdir(), 'kube2iam-debian-'))
    try {
      say(`debootstrap ${suite} with ${packages.join(', ')} …`)
      const include = `--include=${packages.join(',')}`
      run('debootstrap', ['--variant=minbase', include, suite, folder])
      // Written beside and renamed, so that an interrupted run leaves no half archive for the next one.
      run('tar', ['-C', folder, '--exclude=./var/cache/apt', '-cf', `${archive}.part`, '.'])
      renameSync(`${archive}.part`, archive)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  return imageFrom(name, (container) => buildah('add', '-q', container, archive, '/'))
}

/** The Node that the workspace is locked to, in the place where node's official images have it. */
function nodeImage(): string {
  const folder = join(root, 'node_modules', `node-linux-${process.arch}`)
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }
  const name = `localhost/kube2iam-node:${version}`
  if (exists(name)) return name
  const binary = join(folder, 'bin', 'node')
  return imageFrom(name, (container) => buildah('copy', '-q', container, binary, '/usr/local/bin/node'))
}

function imageFrom(name: string, fill: (container: string) => void): string {
  const container = buildah('from', 'scratch').trim()
  try {
    fill(container)
    buildah('commit', '-q', container, name)
  } finally {
    buildah('rm', container)
  }
  return name
}

interface Report {
  readonly image: string
  /** Size of the root file system. */
  readonly bytes: number
  /** Size of the compressed layers: what a node pulls. */
  readonly compressedBytes: number
  /** The image's own configuration, as the OCI image specification names it. */
  readonly config: {
    readonly Entrypoint: readonly string[]
    readonly Env: readonly string[]
    readonly User: string
  }
}

function describe(): Report {
  const inspected = JSON.parse(buildah('inspect', '--type', 'image', options.tag)) as {
    OCIv1: { config: Report['config'] }
  }
  const folder = mkdtempSync(join(tmpdir(), 'kube2iam-oci-'))
  try {
    buildah('push', '-q', options.tag, `oci:${folder}`)
    const blobs = join(folder, 'blobs', 'sha256')
    const compressedBytes = readdirSync(blobs).reduce(
      (sum, blob) => sum + statSync(join(blobs, blob)).size,
      0,
    )
    const bytes = withMount((path) => Number(run('du', ['-sb', path]).split('\t')[0]))
    return { image: options.tag, bytes, compressedBytes, config: inspected.OCIv1.config }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function unpack(folder: string): void {
  mkdirSync(folder, { recursive: true })
  withMount((path) => run('cp', ['-a', `${path}/.`, folder]))
}

function withMount<T>(use: (path: string) => T): T {
  const container = buildah('from', '--pull-never', options.tag).trim()
  try {
    return use(buildah('mount', container).trim())
  } finally {
    buildah('umount', container)
    buildah('rm', container)
  }
}

function exists(image: string): boolean {
  return spawnSync('buildah', [...storage(), 'images', '-q', image]).status === 0
}

function buildah(...args: readonly string[]): string {
  return run('buildah', [...storage(), ...args])
}

/** A storage of our own: the machine's images and containers stay as they are. */
function storage(): string[] {
  return [...placeOf(driver()), '--storage-driver', driver()]
}

function placeOf(driverName: string): string[] {
  return ['--root', join(cache, `containers-${driverName}`), '--runroot', join(cache, 'containers-run')]
}

let chosenDriver: string | undefined

/** overlay where the kernel and the file system can, else vfs, which copies whole layers. */
function driver(): string {
  chosenDriver ??= ['overlay', 'vfs'].find((name) => {
    return spawnSync('buildah', [...placeOf(name), '--storage-driver', name, 'info']).status === 0
  })
  return chosenDriver ?? 'vfs'
}

function run(file: string, args: readonly string[]): string {
  return execFileSync(file, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 26,
  })
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

function refuseUnless(condition: boolean, reason: string): void {
  if (condition) return
  say(`build.ts: ${reason}`)
  process.exit(1)
}

main()
