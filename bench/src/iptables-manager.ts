import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import type { Measured } from './iptables-manager/worker.ts'
import { percentile, type Table } from './table.ts'

const WORKER = new URL('iptables-manager/worker.ts', import.meta.url).pathname
const SERVICES = 1_250
const ROUNDS = 12
/** As long as one look at everything follows another where monitors run. */
const IDLE_MS = 120_000

/** How soon a flush is repaired, what the idle loop costs, and what applying costs beside 5,000 foreign rules. */
export async function run(): Promise<Table> {
  const title = 'iptables-manager: beside 5,000 rules of kube-proxy, in a network namespace'
  if (process.getuid?.() !== 0)
    return { title, figures: [], notes: ['needs root for network namespaces: not measured'] }
  const figures: Table['figures'][number][] = []
  for (const backend of ['iptables-nft', 'nft', 'iptables-legacy']) {
    const { applyMs, oneRuleMs, repairedMs, idleCpuMs, idleMs } = await measure(backend)
    const worst = {
      what: `${backend}: flushed to repaired, p99`,
      value: percentile(repairedMs, 0.99),
      unit: 'ms',
    }
    figures.push(
      {
        what: `${backend}: apply everything`,
        value: applyMs,
        unit: 'ms',
        against: `${oneRuleMs.toFixed(0)} ms for one rule by iptables-restore`,
      },
      { what: `${backend}: flushed to repaired, p50`, value: percentile(repairedMs, 0.5), unit: 'ms' },
      { ...worst, aim: { atMost: 2_000 } },
      {
        what: `${backend}: idle loop`,
        value: (100 * idleCpuMs) / idleMs,
        unit: '% of a core',
        aim: { atMost: 0.1 },
      },
    )
  }
  return {
    title,
    figures,
    notes: [
      `${ROUNDS} flushes each; idle over ${IDLE_MS / 1_000} s, with every program that the loop started`,
      'the legacy tables tell nobody of changes: where netfilter is no module, whose counts could be read, the loop asks every 1.25 s, which is what its processor time is',
    ],
  }
}

async function measure(backend: string): Promise<Measured> {
  const name = `k2im-bench-${randomBytes(3).toString('hex')}`
  execFileSync('ip', ['netns', 'add', name])
  try {
    const args = [
      'netns',
      'exec',
      name,
      process.execPath,
      WORKER,
      backend,
      String(SERVICES),
      String(ROUNDS),
      String(IDLE_MS),
    ]
    const { stdout } = await promisify(execFile)('ip', args, { timeout: 10 * 60_000 })
    return JSON.parse(stdout) as Measured
  } finally {
    execFileSync('ip', ['netns', 'delete', name])
  }
}
