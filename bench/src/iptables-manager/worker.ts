// Runs inside a network namespace of its own and prints what it measured as one line of JSON.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { parseIpAddress, systemClock } from '@kube2iam-ts/core'
import {
  type BackendName,
  type CaptureEvent,
  createCaptureManager,
  createExecFileRunner,
  parseHostInterface,
} from '@kube2iam-ts/iptables-manager'
import { kubeProxyRules } from '@kube2iam-ts/iptables-manager/testing'

export interface Measured {
  /** From the call of `start` to its end, beside the foreign rules. */
  readonly applyMs: number
  /** One foreign rule by `iptables-restore --noflush` in the same table, for comparison. */
  readonly oneRuleMs: number
  /** From the end of a flush to the report that everything is in place again. */
  readonly repairedMs: readonly number[]
  /** Processor time of this process and all that it started, and over how long. */
  readonly idleCpuMs: number
  readonly idleMs: number
}

const [backend = '', services = '', rounds = '', idle = ''] = process.argv.slice(2)
const kind = backend === 'iptables-legacy' ? 'legacy' : 'nft'
const call = (file: string, args: readonly string[], input = ''): void =>
  void execFileSync(file, args, { input })
const timed = async (work: () => unknown): Promise<number> => {
  const from = performance.now()
  await work()
  return performance.now() - from
}
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** This process, the children that it has waited for and those that still run: the kernel's account, ticks of 10 ms. */
function cpuMs(): number {
  const own = statOf('self').slice(11, 15)
  const running = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(statOf)
    .filter((fields) => fields[1] === String(process.pid))
    .flatMap((fields) => fields.slice(11, 13))
  return [...own, ...running].reduce((sum, ticks) => sum + Number(ticks), 0) * 10
}

/** Fields of /proc/PID/stat from the third on; none if it is gone. */
function statOf(pid: string): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}

// The manager's timers keep no process alive.
const alive = setInterval(() => {}, 60_000)
let onRepaired: (() => void) | undefined
const create = () =>
  createCaptureManager({
    settings: {
      instance: 'bench',
      hostIps: [parseIpAddress('10.0.0.1'), parseIpAddress('fd00:10::1')],
      appPort: 8181,
      hostInterface: parseHostInterface('cni0'),
      backend: backend as BackendName,
    },
    runner: createExecFileRunner(),
    clock: systemClock,
    random: Math.random,
    report: (event: CaptureEvent) => {
      if (event.type === 'capture-repaired') onRepaired?.()
    },
  })

call(`iptables-${kind}-restore`, [], kubeProxyRules(Number(services)))
const oneRuleMs = await timed(() => {
  call(
    `iptables-${kind}-restore`,
    ['-w', '5', '--noflush'],
    '*nat\n-A PREROUTING -d 192.0.2.1/32 -j RETURN\nCOMMIT\n',
  )
})
const manager = create()
const applyMs = await timed(() => manager.start())
await sleep(1_500)

const repairedMs: number[] = []
for (let round = 0; round < Number(rounds); round += 1) {
  const repaired = new Promise<void>((resolve) => {
    onRepaired = resolve
  })
  if (backend === 'nft') call('nft', ['delete', 'table', 'inet', 'kube2iam'])
  else call(`iptables-${kind}`, ['-w', '5', '-t', 'nat', '-F', 'PREROUTING'])
  repairedMs.push(await timed(() => repaired))
  // Spread over the polling interval, and below what the manager takes for a fight.
  await sleep(6_000 + ((round * 97) % 1_000))
}
await manager.stop()

const idling = create()
await idling.start()
// For five seconds after its start a monitor is not relied upon, and everything is looked at: that is starting, not idling.
await sleep(7_000)
const before = cpuMs()
const idleMs = await timed(() => sleep(Number(idle)))
const idleCpuMs = cpuMs() - before
await idling.stop()
const measured: Measured = { applyMs, oneRuleMs, repairedMs, idleCpuMs, idleMs }
clearInterval(alive)
process.stdout.write(`${JSON.stringify(measured)}\n`)
