import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { launch, mustRun, run } from './command.ts'
import type { Lab } from './lab.ts'
import type { NetworkNamespace } from './network-namespace.ts'
import { followProcess, type LabProcess } from './process.ts'

/** The image as `deploy/container/build.ts --json --unpack` hands it over. */
export interface Image {
  readonly image: string
  readonly bytes: number
  readonly compressedBytes: number
  readonly config: {
    readonly Entrypoint: readonly string[]
    readonly Env: readonly string[]
    readonly User: string
  }
  /** The unpacked root file system. */
  readonly rootfs: string
}

export interface ContainerOptions {
  readonly image: Image
  /** Appended to the image's entry point, as a pod's `args` are. */
  readonly args: readonly string[]
  /** In place of the image's entry point. */
  readonly entrypoint?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly capabilities: readonly string[]
  /** Host folders or files, by the path inside. */
  readonly mounts?: Readonly<Record<string, { readonly source: string; readonly readOnly?: boolean }>>
}

const BUILD = new URL('../../../deploy/container/build.ts', import.meta.url).pathname

/** Builds the image and unpacks it below `folder`. */
export async function buildImage(folder: string): Promise<Image> {
  const rootfs = join(folder, 'rootfs')
  const home = process.env['HOME'] ?? '/root'
  const env = { HOME: home, PATH: process.env['PATH'] ?? '' }
  const argv = [process.execPath, BUILD, '--json', '--unpack', rootfs]
  const output = await mustRun(argv, { env, timeoutMs: 600_000 })
  const report = JSON.parse(output.trim().split('\n').at(-1) ?? '') as Omit<Image, 'rootfs'>
  return { ...report, rootfs }
}

let containers = 0

/** Starts a container in a network namespace, as the kubelet starts a pod with the given rights. */
export function startContainer(lab: Lab, network: NetworkNamespace, options: ContainerOptions): LabProcess {
  const bundle = mkdtempSync(join(lab.folder, 'bundle-'))
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(runtimeSpec(network, options)))
  const id = `${network.name}-${containers++}`
  const state = join(lab.folder, 'runc')
  mkdirSync(state, { recursive: true })
  // In the foreground runc passes signals on to the container's first process and takes its exit status.
  const child = launch(['runc', '--root', state, 'run', '--bundle', bundle, id], {}, [
    'ignore',
    'pipe',
    'pipe',
  ])
  const container = followProcess(child, `container ${options.args.join(' ')}`)
  lab.onClose(async () => {
    await container.stop(3_000)
    await run(['runc', '--root', state, 'delete', '--force', id])
  })
  return container
}

/** https://github.com/opencontainers/runtime-spec/blob/main/config.md */
function runtimeSpec(network: NetworkNamespace, options: ContainerOptions): object {
  const { image, env = {}, capabilities, mounts = {} } = options
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  return {
    ociVersion: '1.0.2',
    hostname: 'node-a',
    process: {
      terminal: false,
      cwd: '/',
      user: userOf(image.config.User),
      args: [...(options.entrypoint ?? image.config.Entrypoint), ...options.args],
      env: [...image.config.Env, ...variables],
      noNewPrivileges: true,
      capabilities: Object.fromEntries(
        ['bounding', 'effective', 'permitted'].map((set) => [set, capabilities]),
      ),
    },
    root: { path: image.rootfs, readonly: true },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
      ...Object.entries(mounts).map(([destination, { source, readOnly }]) => ({
        destination,
        type: 'bind',
        source,
        options: ['bind', readOnly === true ? 'ro' : 'rw'],
      })),
    ],
    linux: {
      // As containerd and CRI-O have them: github.com/containerd/containerd/blob/main/pkg/oci/spec.go
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
      maskedPaths: ['/proc/acpi', '/proc/kcore', '/proc/keys', '/proc/timer_list', '/sys/firmware'],
      namespaces: [
        { type: 'pid' },
        { type: 'mount' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'network', path: network.path },
      ],
    },
  }
}

function userOf(user: string): { uid: number; gid: number } {
  const [uid = 0, gid = 0] = user.split(':').map(Number)
  return { uid, gid }
}
