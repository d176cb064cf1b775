import { type Clock, createBackoff, type Random } from '@kube2iam-ts/core'
import type { MonitorCommand } from './backend.ts'
import type { CommandRunner } from './command-runner.ts'

export interface MonitorOptions {
  readonly runner: CommandRunner
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
  readonly monitors: readonly MonitorCommand[]
  /** Whether a line is worth a look. */
  readonly concerns: (line: string) => boolean
  /** Every such line is a change of its own; otherwise changes come in transactions, whose last line says who made it. */
  readonly eachLine?: boolean
  /** Called after a change, with the program that made it where the monitor says so. */
  readonly onChange: (changedBy: string | undefined) => void
  /** Called when a monitor runs, which hears nothing yet: it reads the rule set first, then it subscribes. */
  readonly onStarted: (program: string) => void
  readonly onLost: (reason: string) => void
}

/** One that ran as long as this did not fail at once: the next start need not wait long. */
const SETTLED_MS = 30_000

/**
 * How long after its start a monitor may still hear nothing. `nft monitor` takes 0.2 s beside 5,000 rules on an idle
 * machine, and says nothing when it is ready.
 */
export const SUBSCRIBES_WITHIN_MS = 5_000

/** What `nft monitor` prints when changes came faster than it read: it goes on, and nobody knows what was lost. */
const OVERRUN = /^# ERROR/

/** Follows the kernel's rule set changes until the signal is aborted; a monitor that dies is started again. */
export async function monitorChanges(options: MonitorOptions): Promise<void> {
  const { clock, random, signal, onLost } = options
  const backoff = createBackoff({ clock, random, baseMs: 500, maxMs: 60_000 })
  for (;;) {
    const started = clock.monotonic()
    const reason = await followOnce(options)
    if (signal.aborted) return
    onLost(reason)
    if (clock.monotonic() - started > SETTLED_MS) backoff.reset()
    await backoff.wait(signal, 200).catch(() => undefined)
    if (signal.aborted) return
  }
}

async function followOnce({
  runner,
  signal,
  monitors,
  concerns,
  eachLine = false,
  onChange,
  onStarted,
}: MonitorOptions): Promise<string> {
  let reason = 'no monitor program is installed'
  for (const [program, args] of monitors) {
    try {
      const lines = runner.lines(program, args, signal, () => onStarted([program, ...args].join(' ')))
      let touched = false
      for await (const line of lines) {
        // A transaction's changes are printed first, then who made it.
        if (OVERRUN.test(line)) onChange(undefined)
        const generation = /^# new generation \d+ by process \d+ \((.*)\)|^ ?NEWGEN.*\bNAME=(\S+)/.exec(line)
        if (generation !== null) {
          if (touched) onChange(generation[1] ?? generation[2])
          touched = false
        } else if (concerns(line)) {
          if (eachLine) onChange(undefined)
          else touched = true
        }
      }
      reason = `${[program, ...args].join(' ')} ended`
    } catch (error) {
      if (signal.aborted) return 'stopped'
      // Whatever it was, looking again and again does without it.
      reason = error instanceof Error ? error.message : String(error)
    }
  }
  return reason
}
