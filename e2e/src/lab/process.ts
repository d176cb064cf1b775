import type { ChildProcess } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'

/** A process that runs until it is told to stop. */
export interface LabProcess {
  readonly pid: number
  /** Everything that it has written so far, both streams in the order of arrival. */
  output(): string
  /** Resolves when `pattern` has appeared in the output; rejects when the process ends first or time is up. */
  waitForOutput(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>
  /** Resolves with exit status or signal when the process has ended. */
  readonly ended: Promise<{ code: number | undefined; signal: NodeJS.Signals | undefined }>
  /** True until the process has ended. */
  running(): boolean
  kill(signal: NodeJS.Signals): void
  /** SIGTERM, and SIGKILL when it has not ended after `graceMs` (10 s by default). Idempotent. */
  stop(graceMs?: number): Promise<void>
  /** The raw child, for its IPC channel. */
  readonly child: ChildProcess
}

/** Wraps a started child. */
export function followProcess(child: ChildProcess, title: string): LabProcess {
  let text = ''
  let over: { code: number | undefined; signal: NodeJS.Signals | undefined } | undefined
  const watchers = new Set<() => void>()
  const wake = () => {
    for (const watcher of watchers) watcher()
  }
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      wake()
    })
  }
  const ended = new Promise<{ code: number | undefined; signal: NodeJS.Signals | undefined }>((resolve) => {
    const finish = (code: number | null, signal: NodeJS.Signals | null) => {
      over = { code: code ?? undefined, signal: signal ?? undefined }
      wake()
      resolve(over)
    }
    child.once('close', finish)
    child.once('error', (cause) => {
      text += `${cause.message}\n`
      finish(null, null)
    })
  })

  async function waitForOutput(pattern: RegExp, timeoutMs = 10_000): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const found = pattern.exec(text)
      if (found !== null) return found
      if (over !== undefined)
        throw new Error(`${title} ended (${describe(over)}) before ${pattern}:\n${text}`)
      const left = deadline - Date.now()
      if (left <= 0) throw new Error(`${title}: no ${pattern} within ${timeoutMs} ms:\n${text}`)
      await waitForNews(left)
    }
  }

  function waitForNews(atMostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, atMostMs)
      watchers.add(done)
      function done() {
        clearTimeout(timer)
        watchers.delete(done)
        resolve()
      }
    })
  }

  async function stop(graceMs = 10_000): Promise<void> {
    if (over !== undefined) return
    child.kill('SIGTERM')
    const timer = new AbortController()
    const late = delay(graceMs, true, { signal: timer.signal }).catch(() => false)
    const isLate = await Promise.race([ended.then(() => false), late])
    timer.abort()
    if (isLate) {
      child.kill('SIGKILL')
      await ended
    }
  }

  return {
    get pid() {
      return child.pid ?? -1
    },
    output: () => text,
    waitForOutput,
    ended,
    running: () => over === undefined,
    kill: (signal) => void child.kill(signal),
    stop,
    child,
  }
}

function describe(end: { code: number | undefined; signal: NodeJS.Signals | undefined }): string {
  return end.signal ?? `exit status ${end.code}`
}
