import { statSync } from 'node:fs'

const EVERY_MS = 300

/** Calls back when one of the files changes. Looks at them now and then, which works on every kind of file system. */
export function watchFiles(files: () => readonly string[], onChange: () => void): () => void {
  const state = (): string =>
    files()
      .map((file) => {
        const status = statSync(file, { throwIfNoEntry: false })
        return `${file} ${status?.mtimeMs ?? 0} ${status?.size ?? 0}`
      })
      .join('\n')
  let before = state()
  const timer = setInterval(() => {
    const now = state()
    if (now === before) return
    before = now
    onChange()
  }, EVERY_MS)
  return () => clearInterval(timer)
}
