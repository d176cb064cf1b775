import { aborted, CodedError } from '@kube2iam-ts/core'
import type { CommandOptions, CommandResult, CommandRunner } from './command-runner.ts'
import type { NetfilterErrorCode } from './errors.ts'
import { runIp } from './fake-ip.ts'
import { runIptables, runIptablesRestore, runIptablesSave } from './fake-iptables.ts'
import { createFakeKernel, type FakeFate, type FakeKind, type FakePacket } from './fake-kernel.ts'
import { runNft } from './fake-nft.ts'
import type { WritableNodeFiles } from './node-files.ts'
import type { Reach } from './reach.ts'
import type { Family } from './settings.ts'

export interface FakeConnection {
  readonly source: string
  /** Whom the client asked for. */
  readonly destination: string
  /** Who answers: the agent, if it was redirected. */
  readonly answeredBy: string
  readonly inInterface: string
}

export interface FakeNetfilterOptions {
  /** Programs that this node has; all that the package knows unless told. */
  readonly programs?: readonly string[]
  /** Whether ip6tables has a nat table; true unless told. */
  readonly ipv6Nat?: boolean
  /** Whether ip6tables has a mangle table, and with it any that we use; true unless told. */
  readonly ipv6Mangle?: boolean
  /** Whether the node has IPv6 at all; true unless told. */
  readonly ipv6?: boolean
  /** Whether the kernel has policy routing; true unless told. */
  readonly policyRouting?: boolean
  /** Interfaces beside `lo` and the default route's. */
  readonly links?: readonly string[]
  /** Device of the default route; `eth0` unless told. */
  readonly defaultDevice?: string
  /** Device towards an address: what `ip route get` answers. The default route's for others. */
  readonly routes?: Readonly<Record<string, string>>
  /** Files of the node, by path. */
  readonly files?: Readonly<Record<string, string>>
  /** Those of them that are mounted read-only, as containers have `/proc/sys`; none unless told. */
  readonly readOnlyFiles?: readonly string[]
  /** What a monitor that runs already waits for before it hears of changes; nothing unless told. */
  readonly subscribed?: () => Promise<void>
}

/** Things that go wrong. Each counts down, so that a fault passes. */
export interface FakeFaults {
  /** So many calls find the xtables lock taken. */
  locked: number
  /** So many calls are refused for want of CAP_NET_ADMIN. */
  denied: number
  /** So many commits lose the race against another program, and change nothing. */
  lostCommits: number
  /** So many changes overrun the monitors, which then know that they have missed something and not what. */
  lostEvents: number
}

/** The netfilter of one node, in memory: answers the programs' arguments and refuses as the kernel does. */
export interface FakeNetfilter {
  readonly runner: CommandRunner
  readonly files: WritableNodeFiles
  readonly reach: Reach
  /** Where somebody takes connections on this node, as `10.0.0.1:8181`. */
  readonly listening: Set<string>
  readonly faults: FakeFaults
  /** Every program that was run, with its arguments. */
  readonly calls: readonly (readonly string[])[]
  /** Runs a program as somebody else on the node would; throws if it fails. */
  run(file: string, ...args: string[]): string
  /** Gives `iptables-restore` its input; throws if it fails. */
  restore(file: string, input: string, ...args: string[]): void
  /** Sends the first packet of a connection. */
  send(packet: FakePacket): FakeFate
  /** As `send`, and remembers the connection as conntrack would. */
  connect(packet: FakePacket): FakeConnection | undefined
  /** Who answers the next packet of a connection that was made before; `undefined` if it is dropped. */
  next(connection: FakeConnection): string | undefined
  /** Called after every change; returns what ends the calling. */
  onChange(listener: () => void): () => void
  setRoute(address: string, device: string): void
}

const IPTABLES = ['iptables', 'ip6tables'].flatMap((base) =>
  ['', '-nft', '-legacy'].flatMap((kind) => ['', '-save', '-restore'].map((verb) => `${base}${kind}${verb}`)),
)
/** What `nft monitor` prints before it goes on; `xtables-monitor` ends instead. */
const OVERRUN = '# ERROR: We lost some netlink events!'
const PROGRAMS = IPTABLES.concat('nft', 'xtables-monitor', 'stdbuf', 'conntrack', 'ip')

export function createFakeNetfilter(options: FakeNetfilterOptions = {}): FakeNetfilter {
  const kernel = createFakeKernel()
  const installed = new Set(options.programs ?? PROGRAMS)
  const faults: FakeFaults = { locked: 0, denied: 0, lostCommits: 0, lostEvents: 0 }
  const calls: (readonly string[])[] = []
  const files = new Map(Object.entries(options.files ?? {}))
  const routes = new Map(Object.entries(options.routes ?? {}))
  const monitors = new Set<(lines: readonly string[]) => void>()
  const ruleMonitors = new Set<(lines: readonly string[]) => void>()
  const listeners = new Set<() => void>()
  const listening = new Set<string>()
  let connections: FakeConnection[] = []
  let generation = 0

  const changedBy =
    (program: string) =>
    (lines: readonly string[]): void => {
      generation += 1
      const lost = faults.lostEvents > 0
      if (lost) faults.lostEvents -= 1
      const all = lost
        ? [OVERRUN]
        : [...lines, `# new generation ${generation} by process ${1000 + generation} (${program})`]
      for (const monitor of monitors) monitor(all)
      for (const listener of listeners) listener()
    }

  const legacyTables = (): string =>
    [...kernel.iptables.keys()]
      .filter((key) => key.startsWith('legacy/4/'))
      .map((key) => `${key.split('/')[2]}\n`)
      .join('')

  const execute = (file: string, args: readonly string[], input: string): CommandResult => {
    const iptables = /^(ip6?tables)(-nft|-legacy)?(-save|-restore)?$/.exec(file)
    if (iptables === null) return executeOther(file, args, input)
    const family: Family = iptables[1] === 'ip6tables' ? 6 : 4
    const kind: FakeKind = iptables[2] === '-legacy' ? 'legacy' : 'nft'
    // The legacy tables have no monitor.
    const changed = kind === 'nft' ? changedBy(file) : () => changedBy(file)([])
    const fake = { kernel, kind, family, changed }
    const fault = args.includes('--version') ? undefined : takeFault(faults, kind)
    if (fault !== undefined) return fault
    if (family === 6 && options.ipv6 === false) {
      return {
        exitCode: 3,
        stdout: '',
        stderr: "ip6tables: can't initialize ip6tables table: Address family not supported by protocol\n",
      }
    }
    const lacking = [
      ...(options.ipv6Nat === false ? ['nat'] : []),
      ...(options.ipv6Mangle === false ? ['nat', 'mangle'] : []),
    ].find((table) => family === 6 && (args.includes(table) || input.includes(`*${table}`)))
    if (lacking !== undefined) {
      return {
        exitCode: 3,
        stdout: '',
        stderr: `ip6tables: can't initialize ip6tables table \`${lacking}': Table does not exist\n`,
      }
    }
    if (iptables[3] === '-save') return runIptablesSave(fake, args)
    if (iptables[3] !== '-restore') return runIptables(fake, args)
    if (faults.lostCommits > 0) {
      faults.lostCommits -= 1
      return { exitCode: 4, stdout: '', stderr: `${file}: line 1 failed: Resource busy\n` }
    }
    return runIptablesRestore(fake, args, input)
  }

  const executeOther = (file: string, args: readonly string[], input: string): CommandResult => {
    if (file === 'nft') return runNft(kernel, args, changedBy('nft'))
    if (file === 'conntrack') return conntrack(args)
    if (file === 'ip')
      return runIp(
        {
          links: options.links ?? [],
          defaultDevice: options.defaultDevice ?? 'eth0',
          routes,
          ...(options.policyRouting !== false && { policy: kernel.policy }),
          changed(lines) {
            for (const monitor of ruleMonitors) monitor(lines)
            for (const listener of listeners) listener()
          },
        },
        args,
        input,
      )
    return { exitCode: 127, stdout: '', stderr: `${file}: not emulated\n` }
  }

  const conntrack = (args: readonly string[]): CommandResult => {
    const of = (name: string): string | undefined =>
      args.includes(name) ? args[args.indexOf(name) + 1] : undefined
    const before = connections.length
    connections = connections.filter(
      ({ destination, answeredBy }) => destination !== of('--orig-dst') || answeredBy !== of('--reply-src'),
    )
    const count = before - connections.length
    return {
      exitCode: count === 0 ? 1 : 0,
      stdout: '',
      stderr: `conntrack v1.4.7: ${count} flow entries have been deleted.\n`,
    }
  }

  const missing = (file: string): CodedError<NetfilterErrorCode> =>
    new CodedError('COMMAND_MISSING', `${file} is not installed: add its package to the image`, {
      detail: { program: file },
    })

  const fake: FakeNetfilter = {
    runner: {
      async run(file, args, { input = '', signal }: CommandOptions = {}) {
        if (signal?.aborted === true) throw aborted(signal)
        calls.push([file, ...args])
        if (!installed.has(file)) throw missing(file)
        return execute(file, args, input)
      },
      async *lines(file, args, signal, onRunning) {
        calls.push([file, ...args])
        if (!installed.has(file)) throw missing(file)
        onRunning?.()
        if (args.includes('xtables-monitor') && !installed.has('xtables-monitor')) return
        await options.subscribed?.()
        if (signal.aborted) throw aborted(signal)
        for await (const line of subscribe(file === 'ip' ? ruleMonitors : monitors, signal)) {
          if (file === 'stdbuf' && line === OVERRUN) return
          yield file === 'stdbuf' ? asXtablesMonitor(line) : line
        }
      },
    },
    files: {
      async readText(path) {
        if (path === '/proc/net/ip_tables_names') return legacyTables()
        if (path === '/proc/net/if_inet6') return options.ipv6 === false ? undefined : ''
        return files.get(path)
      },
      async list(path) {
        return [...files.keys()]
          .filter((name) => name.startsWith(`${path}/`))
          .map((name) => name.slice(path.length + 1))
          .toSorted()
      },
      async writeText(path, text) {
        if (!files.has(path)) return 'ENOENT'
        if (options.readOnlyFiles?.includes(path) === true) return 'EROFS'
        files.set(path, text)
        return undefined
      },
    },
    reach: async (address, port, signal) => {
      if (signal?.aborted === true) return 'unknown'
      return listening.has(`${address}:${port}`) ? 'answered' : 'refused'
    },
    listening,
    faults,
    calls,
    run(file, ...args) {
      const { exitCode, stdout, stderr } = execute(file, args, '')
      if (exitCode !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr}`)
      return stdout
    },
    restore(file, input, ...args) {
      const { exitCode, stderr } = execute(file, args, input)
      if (exitCode !== 0) throw new Error(`${file}: ${stderr}`)
    },
    send: (packet) => kernel.send(packet),
    connect(packet) {
      const fate = kernel.send(packet)
      if (fate.fate === 'dropped') return undefined
      const { source, destination, inInterface } = packet
      const answeredBy = fate.fate === 'redirected' ? fate.address : destination
      const connection = { source, destination, inInterface, answeredBy }
      connections.push(connection)
      return connection
    },
    next(connection) {
      const { source, inInterface, destination, answeredBy } = connection
      const known = connections.includes(connection)
      if (known && answeredBy !== destination) return answeredBy
      const fate = kernel.send({ source, destination, inInterface, established: known })
      if (fate.fate === 'dropped') return undefined
      return fate.fate === 'redirected' ? fate.address : destination
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    setRoute(address, device) {
      routes.set(address, device)
    },
  }
  return fake
}

function takeFault(faults: FakeFaults, kind: FakeKind): CommandResult | undefined {
  if (faults.locked > 0) {
    faults.locked -= 1
    return {
      exitCode: 4,
      stdout: '',
      stderr:
        'Another app is currently holding the xtables lock; still 0s 0us time ahead to have a chance to grab the lock...\n',
    }
  }
  if (faults.denied > 0) {
    faults.denied -= 1
    const stderr =
      kind === 'nft'
        ? 'Could not fetch rule set generation id: Permission denied (you must be root)\n'
        : "Fatal: can't open lock file /run/xtables.lock: Permission denied\n"
    return { exitCode: 4, stdout: '', stderr }
  }
  return undefined
}

/** A line of `nft monitor` as `xtables-monitor -e` prints it. */
function asXtablesMonitor(line: string): string {
  const by = /by process (\d+) \((.*)\)/.exec(line)
  if (by !== null) return `NEWGEN: GENID=1 PID=${by[1]} NAME=${by[2]}`
  const [verb = '', object = '', family = '', table = '', chain = ''] = line.split(' ')
  if (object === 'table')
    return ` EVENT: nft: ${verb === 'delete' ? 'DEL' : 'NEW'} table: table ${table} ${family} flags 0`
  if (object === 'chain') return ` EVENT: # nft: ${family} ${table} ${chain} use 1`
  if (family === 'inet') return ' EVENT: '
  return ` EVENT: ${family === 'ip6' ? '-6' : '-4'} -t ${table} ${verb === 'delete' ? '-D' : '-A'} ${chain} `
}

/** Lines as they are printed, until the signal is aborted. */
async function* subscribe(
  monitors: Set<(lines: readonly string[]) => void>,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const waiting: string[] = []
  let wake: (() => void) | undefined
  const listener = (lines: readonly string[]): void => {
    waiting.push(...lines)
    wake?.()
  }
  const stop = (): void => wake?.()
  monitors.add(listener)
  signal.addEventListener('abort', stop, { once: true })
  try {
    while (!signal.aborted) {
      const line = waiting.shift()
      if (line === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      } else yield line
    }
    throw aborted(signal)
  } finally {
    monitors.delete(listener)
    signal.removeEventListener('abort', stop)
  }
}
