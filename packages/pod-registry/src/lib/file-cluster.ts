import { readFile } from 'node:fs/promises'
import { badConfig, type Cluster, noCredentials } from './cluster.ts'

export interface FileClusterOptions {
  server: string
  token?: string
  tokenFile?: string
  caFile?: string
  insecure?: boolean
}

/**
 * A cluster by its address, with token and CA in files at most: a pod's own service account, or `--api-server`. Both
 * files are read again for each request, as the kubelet rotates them. Rejects with `CLUSTER_CONFIG`.
 */
export async function createFileCluster(options: FileClusterOptions): Promise<Cluster> {
  const { token, tokenFile, caFile, insecure = false } = options
  const server = options.server.replace(/\/+$/, '')
  if (!URL.canParse(server) || !/^https?:$/.test(new URL(server).protocol)) {
    throw badConfig(
      `"${options.server}" is not the address of an API server; a right one is https://10.0.0.1:6443`,
    )
  }
  for (const [file, what] of [
    [tokenFile, 'the token'],
    [caFile, 'the certificate authority'],
  ] as const) {
    if (file === undefined) continue
    await readFile(file).catch((cause: unknown) => {
      throw badConfig(`${what} of the API server cannot be read from ${file}`, cause)
    })
  }
  return {
    server,
    async access() {
      try {
        const [bearer, ca] = await Promise.all([
          tokenFile === undefined ? token : readFile(tokenFile, 'utf8'),
          caFile === undefined ? undefined : readFile(caFile),
        ])
        const trimmed = bearer?.trim() ?? ''
        return {
          headers: trimmed === '' ? {} : { authorization: `Bearer ${trimmed}` },
          tls: insecure ? { rejectUnauthorized: false } : ca === undefined ? {} : { ca },
        }
      } catch (cause) {
        throw noCredentials(cause)
      }
    },
    renew: async () => {},
  }
}
