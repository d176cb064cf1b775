import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { CodedError } from '@kube2iam-ts/core'
import type { Feed } from '@kube2iam-ts/pod-registry'
import type { ApiConnection } from '@kube2iam-ts/pod-registry/kubernetes'
import { UsageError } from './command.ts'

/** A Kubernetes object as JSON, of which no more is known than that. */
export interface KubernetesObject {
  readonly kind?: string
  readonly metadata?: { readonly name?: string; readonly namespace?: string; readonly uid?: string }
  readonly items?: readonly KubernetesObject[]
}

/** The objects in YAML or JSON files and folders of those; a list (`kubectl get -o yaml`) counts as what is in it. */
export async function readManifests(paths: readonly string[]): Promise<readonly KubernetesObject[]> {
  const { parseAllDocuments } = await import('yaml')
  const objects: KubernetesObject[] = []
  for (const path of paths.flatMap(filesAt)) {
    for (const document of parseAllDocuments(readFileSync(path, 'utf8'))) {
      const [error] = document.errors
      if (error !== undefined)
        throw new UsageError(`--manifests ${path}: ${error.message.split('\n')[0] ?? ''}`)
      const object = document.toJS() as KubernetesObject | null
      if (object !== null && typeof object === 'object') objects.push(...(object.items ?? [object]))
    }
  }
  return objects
}

function filesAt(path: string): readonly string[] {
  try {
    if (!statSync(path).isDirectory()) return [path]
    const names = readdirSync(path).filter((name) => /\.(ya?ml|json)$/.test(name))
    return names.sort().map((name) => join(path, name))
  } catch {
    throw new UsageError(`--manifests ${path} cannot be read: give files of Kubernetes objects`)
  }
}

/** One object of the cluster; `undefined` where there is none. Rejects with `CLUSTER_CALL_FAILED`. */
export async function getObject(
  connection: ApiConnection,
  path: string,
): Promise<KubernetesObject | undefined> {
  const { status, body } = await connection.request({
    method: 'GET',
    path,
    headers: { accept: 'application/json' },
  })
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  if (status === 404) return undefined
  if (status !== 200) {
    throw new CodedError('CLUSTER_CALL_FAILED', `the API server answered ${status} to ${path}`, {
      detail: { status, path },
    })
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as KubernetesObject
}

/** An API server that has these objects and lists them: what feeds read of a real one, they read of it. */
export function connectionTo(objects: readonly KubernetesObject[]): ApiConnection {
  const kinds: Readonly<Record<string, string>> = {
    '/api/v1/pods': 'Pod',
    '/api/v1/namespaces': 'Namespace',
    '/api/v1/serviceaccounts': 'ServiceAccount',
  }
  return {
    async request({ path }) {
      const kind = kinds[path.split('?')[0] ?? '']
      // Manifests that were never applied have no UID, and are told apart by their names.
      const items = objects
        .filter((object) => object.kind === kind)
        .map((object) => ({
          ...object,
          metadata: {
            ...(kind === 'Namespace' ? {} : { namespace: 'default' }),
            uid: `${object.metadata?.namespace ?? 'default'}/${object.metadata?.name ?? ''}`,
            ...object.metadata,
          },
        }))
      const list = { kind: `${kind ?? ''}List`, apiVersion: 'v1', metadata: { resourceVersion: '1' }, items }
      return { status: 200, headers: {}, body: oneChunk(Buffer.from(JSON.stringify(list))) }
    },
    close: async () => {},
  }
}

async function* oneChunk(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  yield chunk
}

/** What a feed lists at first. */
export async function snapshotOf<Item>(feed: Feed<Item>): Promise<readonly Item[]> {
  const stop = new AbortController()
  try {
    for await (const event of feed.events(stop.signal)) {
      if (event.kind === 'snapshot') return event.items
      if (event.kind === 'stale') throw new CodedError(event.code, event.message)
    }
    return []
  } finally {
    stop.abort()
  }
}
