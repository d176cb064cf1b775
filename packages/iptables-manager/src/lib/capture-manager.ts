import { type Clock, isCoded, type IpAddress, type Random, type Report } from '@kube2iam-ts/core'
import type { CommandRunner } from './command-runner.ts'
import type { CaptureEvent, LookReason } from './events.ts'
import { monitorChanges } from './monitor.ts'
import { createNodeFiles, type NodeFiles } from './node-files.ts'
import type { Plan, Step } from './plan.ts'
import type { Owner } from './rule.ts'
import { createRuleKeeper, type Look } from './rule-keeper.ts'
import { type CaptureSettings, checkSettings } from './settings.ts'
import { type CaptureStatus, describeLook, NEVER_LOOKED } from './status.ts'

export interface CaptureManagerOptions {
  readonly settings: CaptureSettings
  readonly runner: CommandRunner
  readonly clock: Clock
  readonly random: Random
  readonly report: Report<CaptureEvent>
  /** The node's `/proc` and `/etc/cni/net.d`; the real ones unless given. */
  readonly files?: NodeFiles
  /** How often to look while no monitor runs; 1,500 ms unless given. */
  readonly pollIntervalMs?: number
  /** How often to look although a monitor runs, in case it missed something; 60 s unless given. */
  readonly monitoredIntervalMs?: number
}

export interface CaptureManager {
  /** Puts the rules in place and keeps them there. Resolves when a look found them all; rejects with the codes of errors.ts. */
  start(signal?: AbortSignal): Promise<void>
  /** What the last look found. */
  status(): CaptureStatus
  /** Looks now and repairs; resolves with what is there then. Rejects with the codes of errors.ts. */
  look(): Promise<CaptureStatus>
  /** What a look would change, changing nothing. */
  plan(signal?: AbortSignal): Promise<Plan>
  /** The addresses of this node's pods, whenever they change: `auto` learns its interfaces from them. */
  setPods(addresses: readonly IpAddress[]): void
  /**
   * Puts the guard in place and nothing else: from now on no pod reaches the metadata service. A redirect that is there
   * stays; `start` later adds one, and at no time in between is the way open.
   */
  installBlock(signal?: AbortSignal): Promise<void>
  /** Takes away everything of ours, in every backend of the node. Ends the loop first. */
  remove(signal?: AbortSignal): Promise<readonly Step[]>
  /** Ends loop and monitor. The rules stay: no pod may meet the real service while the agent restarts. */
  stop(): Promise<void>
}

/** Changes come in bursts: a look waits for the burst to end. */
const SETTLE_MS = 30
/** As many repairs within a minute mean that somebody insists: then we pause before each. */
const CONTENDED_REPAIRS = 10
const CONTENDED_WINDOW_MS = 60_000
const CONTENDED_PAUSE_MS = 1_500

/** Makes the keeper of the rules that lead pods' metadata calls to the agent. Throws `CAPTURE_INVALID`. */
export function createCaptureManager(options: CaptureManagerOptions): CaptureManager {
  const { settings, runner, clock, random, report } = options
  checkSettings(settings)
  const owner: Owner = { instance: settings.instance, startedAt: clock.now() }
  const files = options.files ?? createNodeFiles()
  const keeper = createRuleKeeper({ settings, owner, runner, files, clock, report })
  const stopping = new AbortController()

  let status = NEVER_LOOKED
  let pods: readonly IpAddress[] = []
  let queue: Promise<unknown> = Promise.resolve()
  let tasks: Promise<unknown>[] = []
  let wake: ((reason: LookReason, changedBy?: string) => void) | undefined
  let monitored = false
  let repairedAt: number[] = []

  /** One look at a time: two would each undo what the other is about to verify. */
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = queue.then(work, work)
    queue = result.catch(() => undefined)
    return result
  }

  const look = (
    reason: LookReason,
    changedBy?: string,
    signal: AbortSignal = stopping.signal,
  ): Promise<CaptureStatus> =>
    inTurn(async () => {
      try {
        if (reason === 'start' || reason === 'settings') await keeper.findSources(pods, signal)
        const result = await keeper.look('redirect', reason, changedBy, signal)
        noteRepair(result, changedBy)
        if (result.yieldedTo !== undefined && status.state !== 'yielded') {
          report({ type: 'capture-yielded', instance: result.yieldedTo.instance })
        }
        status = describeLook(status, result, keeper.sources, clock.now())
        return status
      } catch (error) {
        if (isCoded(error, 'ABORTED')) throw error
        status = { ...status, state: 'incomplete', problem: problemOf(error), lastLookAt: clock.now() }
        report({ type: 'capture-look-failed', reason, error })
        throw error
      }
    })

  const noteRepair = ({ applied }: Look, changedBy?: string): void => {
    if (applied.length === 0) return
    const now = clock.monotonic()
    repairedAt = [...repairedAt.filter((at) => at > now - CONTENDED_WINDOW_MS), now]
    if (repairedAt.length === CONTENDED_REPAIRS) {
      report({
        type: 'capture-contended',
        repairs: repairedAt.length,
        withinMs: CONTENDED_WINDOW_MS,
        ...(changedBy !== undefined && { changedBy }),
      })
    }
  }

  /** Waits for a change or for the interval to pass, whichever is first. */
  const nextReason = (): Promise<{ reason: LookReason; changedBy?: string }> =>
    new Promise((resolve) => {
      const interval = monitored ? (options.monitoredIntervalMs ?? 60_000) : (options.pollIntervalMs ?? 1_500)
      const done = (reason: LookReason, changedBy?: string): void => {
        cancel()
        wake = undefined
        resolve({ reason, ...(changedBy !== undefined && { changedBy }) })
      }
      const cancel = clock.after(interval, () => done('poll'))
      wake = done
    })

  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const { reason, changedBy } = await nextReason()
      if (stopping.signal.aborted) return
      const contended =
        repairedAt.filter((at) => at > clock.monotonic() - CONTENDED_WINDOW_MS).length >= CONTENDED_REPAIRS
      await clock
        .sleep(contended ? CONTENDED_PAUSE_MS : reason === 'monitor' ? SETTLE_MS : 0, stopping.signal)
        .catch(() => undefined)
      // It was reported and shows in the status; the next look tries again.
      await look(reason, changedBy).catch(() => undefined)
    }
  }

  const nudge = (reason: LookReason, changedBy?: string): void => wake?.(reason, changedBy)

  const follow = async (): Promise<void> => {
    const { backend } = await keeper.setup(stopping.signal)
    if (!backend.monitored) return
    await monitorChanges({
      runner,
      clock,
      random,
      signal: stopping.signal,
      concerns: (line) => backend.concerns(line),
      onChange: (changedBy) => nudge('monitor', changedBy),
      onStarted(program) {
        monitored = true
        report({ type: 'capture-monitor-started', program })
        nudge('monitor')
      },
      onLost(reason) {
        monitored = false
        report({ type: 'capture-monitor-lost', reason })
        nudge('poll')
      },
    })
  }

  const manager: CaptureManager = {
    async start(signal) {
      await look(
        'start',
        undefined,
        signal === undefined ? stopping.signal : AbortSignal.any([signal, stopping.signal]),
      )
      tasks = [loop(), follow()]
    },
    status: () => ({ ...status, monitored }),
    look: () => look('asked'),
    plan: (signal) => inTurn(() => keeper.plan('redirect', signal)),
    setPods(addresses) {
      pods = addresses
      nudge('settings')
    },
    async installBlock(signal) {
      await inTurn(async () => {
        const { setup } = await keeper.look('block', 'asked', undefined, signal)
        report({ type: 'capture-block-installed', backend: setup.backend.name })
      })
    },
    async remove(signal) {
      await manager.stop()
      return inTurn(async () => {
        const steps = await keeper.remove(signal)
        status = { ...NEVER_LOOKED, state: 'removed', lastLookAt: clock.now() }
        return steps
      })
    },
    async stop() {
      stopping.abort()
      nudge('asked')
      await Promise.all([...tasks, queue])
      tasks = []
    },
  }
  return manager
}

const problemOf = (error: unknown): { code: string; message: string } =>
  isCoded(error)
    ? { code: error.code, message: error.message }
    : { code: 'UNEXPECTED', message: error instanceof Error ? error.message : String(error) }
