import { type Clock, createBackoff, isCoded, type Random } from '@kube2iam-ts/core'
import type { CommandRunner } from './command-runner.ts'

export interface MonitorOptions {
  readonly runner: CommandRunner
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
  /** Whether a line is worth a look. */
  readonly concerns: (line: string) => boolean
  /** Called after a change, with the program that made it where the monitor says so. */
  readonly onChange: (changedBy: string | undefined) => void
  readonly onStarted: (program: string) => void
  readonly onLost: (reason: string) => void
}

/** Programs that print each change of the rule set; the second only knows iptables' own tables. */
const MONITORS: readonly (readonly [string, readonly string[]])[] = [
  ['nft', ['monitor']],
  ['xtables-monitor', ['-e']],
]

/** Follows the kernel's rule set changes until the signal is aborted; a monitor that dies is started again. */
export async function monitorChanges(options: MonitorOptions): Promise<void> {
  const { clock, random, signal, onLost } = options
  const backoff = createBackoff({ clock, random, baseMs: 500, maxMs: 60_000 })
  for (;;) {
    const reason = await followOnce(options)
    if (signal.aborted) return
    onLost(reason)
    await backoff.wait(signal, 200).catch(() => undefined)
    if (signal.aborted) return
  }
}

async function followOnce({
  runner,
  signal,
  concerns,
  onChange,
  onStarted,
}: MonitorOptions): Promise<string> {
  let reason = 'no monitor program is installed'
  for (const [program, args] of MONITORS) {
    try {
      const lines = runner.lines(program, args, signal)
      onStarted(program)
      let touched = false
      for await (const line of lines) {
        // A transaction's changes are printed first, then who made it.
        const generation = /^# new generation \d+ by process \d+ \((.*)\)|^ ?NEWGEN.*\bNAME=(\S+)/.exec(line)
        if (generation !== null) {
          if (touched) onChange(generation[1] ?? generation[2])
          touched = false
        } else if (concerns(line)) {
          touched = true
          if (program !== 'nft') onChange(undefined)
        }
      }
      reason = `${program} monitor ended`
    } catch (error) {
      if (signal.aborted) return 'stopped'
      if (!isCoded(error)) throw error
      reason = error.message
    }
  }
  return reason
}
