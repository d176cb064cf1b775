/** What must be gone when the process ends, however suddenly: each is undone at once and without waiting. */
export interface Leftovers {
  /** Returns what takes it off the list again, for when it has been undone in order. */
  add(undo: () => void): () => void
}

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
  readonly leftovers: Leftovers
}

/** One Ctrl-C can arrive several times: from the terminal, and from each script that passes it on. */
const SAME_KEYSTROKE_MS = 700

/**
 * The process's own terminal. The first Ctrl-C asks; a second one ends at once. Agents are in process groups of their own,
 * so whatever ends this process (but SIGKILL) takes them and the world's folder along.
 */
export function processTerminal(): Terminal {
  const controller = new AbortController()
  const { leftovers, undoAll } = createLeftovers()
  process.on('exit', undoAll)
  // As `| head` leaves it; 141 is what a shell calls a process that SIGPIPE ended.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 141 : 2))
  }
  let firstAt = 0
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
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
    leftovers,
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

/** The list itself; what was added last is undone first. */
export function createLeftovers(): { readonly leftovers: Leftovers; readonly undoAll: () => void } {
  const undoing = new Set<() => void>()
  return {
    leftovers: {
      add(undo) {
        const entry = (): void => undo()
        undoing.add(entry)
        return () => void undoing.delete(entry)
      },
    },
    undoAll() {
      for (const undo of [...undoing].toReversed()) {
        undoing.delete(undo)
        try {
          undo()
        } catch {
          // The others are to be undone all the same, and nobody is left who could be told.
        }
      }
    },
  }
}
