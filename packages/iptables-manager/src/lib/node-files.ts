import { readdir, readFile } from 'node:fs/promises'

/** Reads the node's own files: `/proc`, `/etc/cni/net.d`. What cannot be read is as if it were not there. */
export interface NodeFiles {
  /** `undefined` where there is no such file or it may not be read. */
  readText(path: string): Promise<string | undefined>
  /** Names in a directory, sorted; none where there is no such directory. */
  list(path: string): Promise<readonly string[]>
}

/** The real ones. `root` is put before every path, for a host's file system mounted elsewhere. */
export function createNodeFiles(root = ''): NodeFiles {
  return {
    readText: (path) => readFile(`${root}${path}`, 'utf8').catch(() => undefined),
    list: async (path) => (await readdir(`${root}${path}`).catch((): string[] => [])).toSorted(),
  }
}
