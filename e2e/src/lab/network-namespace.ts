import { type CommandOptions, type CommandResult, launch, mustRun, run } from './command.ts'
import { removeNetworkNamespace } from './owner.ts'
import { followProcess, type LabProcess } from './process.ts'

export interface StartOptions extends Pick<CommandOptions, 'env' | 'cwd'> {
  /** Opens a Node IPC channel to the process. */
  readonly ipc?: boolean
}

/** A network namespace of ours and the processes inside it. */
export interface NetworkNamespace {
  readonly name: string
  /** The path that `runc` and `nsenter` take. */
  readonly path: string
  /** Runs a command inside to its end. */
  run(argv: readonly string[], options?: CommandOptions): Promise<CommandResult>
  /** Runs a command inside; rejects unless it ends with status 0. */
  mustRun(argv: readonly string[], options?: CommandOptions): Promise<string>
  /** Starts a long-running command inside; it is ended with the namespace at the latest. */
  start(argv: readonly string[], options?: StartOptions): LabProcess
  /** Sets a sysctl of this namespace's network stack, `net.ipv4.ip_forward=1`. */
  sysctl(...settings: readonly string[]): Promise<void>
  /** Ends everything inside and deletes the namespace. Idempotent. */
  close(): Promise<void>
}

/** Makes a network namespace with its loopback up. */
export async function createNetworkNamespace(name: string): Promise<NetworkNamespace> {
  await mustRun(['ip', 'netns', 'add', name])
  await mustRun(['ip', '-n', name, 'link', 'set', 'lo', 'up'])
  const inside = (argv: readonly string[]) => ['ip', 'netns', 'exec', name, ...argv]
  const processes = new Set<LabProcess>()

  return {
    name,
    path: `/run/netns/${name}`,
    run: (argv, options) => run(inside(argv), options),
    mustRun: (argv, options) => mustRun(inside(argv), options),
    start(argv, options = {}) {
      const stdio =
        options.ipc === true
          ? (['ignore', 'pipe', 'pipe', 'ipc'] as const)
          : (['ignore', 'pipe', 'pipe'] as const)
      const child = launch(inside(argv), options, [...stdio])
      const process = followProcess(child, argv.slice(0, 6).join(' '))
      processes.add(process)
      void process.ended.then(() => processes.delete(process))
      return process
    },
    async sysctl(...settings) {
      await mustRun(inside(['sysctl', '-q', '-w', ...settings]))
    },
    async close() {
      await Promise.all([...processes].map((process) => process.stop(3_000)))
      await removeNetworkNamespace(name)
    },
  }
}
