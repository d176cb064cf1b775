import { readdir, readFile, writeFile } from 'node:fs/promises'

/** Reads the node's own files: `/proc`, `/etc/cni/net.d`. What cannot be read is as if it were not there. */
export interface NodeFiles {
  /** `undefined` where there is no such file or it may not be read. */
  readText(path: string): Promise<string | undefined>
  /** Names in a directory, sorted; none where there is no such directory. */
  list(path: string): Promise<readonly string[]>
}

/** The same with the files of `/proc/sys`, which are settings of the kernel. */
export interface WritableNodeFiles extends NodeFiles {
  /** Resolves with `undefined` once it is written, and with the system's code (`EROFS`, `ENOENT`) where it is not. */
  writeText(path: string, text: string): Promise<string | undefined>
}

/** The real ones. `root` is put before every path, for a host's file system mounted elsewhere. */
export function createNodeFiles(root = ''): WritableNodeFiles {
  return {
    readText: (path) => readFile(`${root}${path}`, 'utf8').catch(() => undefined),
    list: async (path) => (await readdir(`${root}${path}`).catch((): string[] => [])).toSorted(),
    async writeText(path, text) {
      try {
        // What is not there is no setting of this kernel, and is not made.
        await writeFile(`${root}${path}`, text, { flag: 'r+' })
        return undefined
      } catch (error) {
        return error instanceof Error && 'code' in error ? String(error.code) : String(error)
      }
    },
  }
}
