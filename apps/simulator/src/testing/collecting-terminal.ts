import { createLeftovers, type Terminal } from '../terminal.ts'

/** A terminal for tests: keeps what was said, and is interrupted when told. */
export interface CollectingTerminal extends Terminal {
  printed(): string
  warned(): string
  interrupt(): void
  /** Resolves when standard output holds the text. */
  untilPrinted(text: string): Promise<void>
}

export function collectingTerminal(): CollectingTerminal {
  const out: string[] = []
  const err: string[] = []
  const controller = new AbortController()
  const waiting = new Set<() => void>()
  return {
    colour: false,
    leftovers: createLeftovers().leftovers,
    interrupted: controller.signal,
    print(text) {
      out.push(text)
      for (const look of waiting) look()
    },
    warn: (text) => void err.push(text),
    untilInterrupted: () =>
      new Promise((resolve) => {
        if (controller.signal.aborted) resolve()
        else controller.signal.addEventListener('abort', () => resolve(), { once: true })
      }),
    printed: () => out.join('\n'),
    warned: () => err.join('\n'),
    interrupt: () => controller.abort(),
    untilPrinted: (text) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!out.join('\n').includes(text)) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      }),
  }
}
