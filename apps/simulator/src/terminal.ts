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

/** The process's own terminal. The first Ctrl-C asks, a second one ends at once. */
export function processTerminal(): Terminal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(130)
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
