/** Where a command's words go, and how it learns that it should end. */
export interface Terminal {
  /** A line to standard output. */
  print(text: string): void
  /** A line to standard error. */
  warn(text: string): void
  readonly colour: boolean
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly interrupted: AbortSignal
  untilInterrupted(): Promise<void>
}

/** One Ctrl-C can arrive several times: from the terminal, and from each script that passes it on. */
const SAME_KEYSTROKE_MS = 700

/** The process's own terminal. The first Ctrl-C asks, a second one ends at once. */
export function processTerminal(): Terminal {
  const controller = new AbortController()
  let firstAt = 0
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted && performance.now() - firstAt > SAME_KEYSTROKE_MS) process.exit(130)
      if (controller.signal.aborted) return
      firstAt = performance.now()
      controller.abort()
    })
  }
  return {
    print: (text) => void process.stdout.write(`${text}\n`),
    warn: (text) => void process.stderr.write(`${text}\n`),
    colour: process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '',
    interrupted: controller.signal,
    untilInterrupted: () =>
      new Promise((resolve) => {
        if (controller.signal.aborted) return resolve()
        // Keeps the process alive while nothing else does.
        const tick = setInterval(() => {}, 60_000)
        controller.signal.addEventListener('abort', () => {
          clearInterval(tick)
          resolve()
        })
      }),
  }
}
