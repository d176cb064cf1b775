import { globSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ProblemsError } from './problem.ts'
import { readText } from './read-files.ts'
import { parseSource } from './yaml-source.ts'

export const isFolder = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

/** The YAML files below a folder (and JSON where that is wanted too), in the order of their names. */
export function filesBelow(folder: string, extensions: readonly string[]): readonly string[] {
  return globSync(`**/*.{${extensions.join(',')}}`, {
    cwd: folder,
    exclude: (name) => name === 'node_modules' || name === '.git',
  })
    .map((file) => join(folder, file))
    .toSorted()
}

const LARGEST = 256 * 1024 * 1024

/** Whether a file holds Kubernetes objects: one of its documents has a kind and metadata. No YAML is no answer: false. */
export function holdsObjects(file: string): boolean {
  try {
    return parseSource(readText(file, LARGEST), file, { maxBytes: LARGEST, maxNodes: 20_000_000 }).some(
      (document) => {
        if (document.kind !== 'map') return false
        const keys = new Set(document.entries.map(({ key }) => key))
        return keys.has('kind') && (keys.has('metadata') || keys.has('items'))
      },
    )
  } catch (error) {
    if (error instanceof ProblemsError) return false
    throw error
  }
}
