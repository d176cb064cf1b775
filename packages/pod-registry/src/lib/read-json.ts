import { CodedError } from '@kube2iam-ts/core'
import type { ApiConnection, ApiRequest } from './api-connection.ts'

/** Why a single call to the API server failed. */
export type ClusterCallCode =
  | 'CLUSTER_NOT_FOUND'
  | 'CLUSTER_CONFLICT'
  | 'CLUSTER_FORBIDDEN'
  | 'CLUSTER_CALL_FAILED'

/** One call whose answer is a JSON object; rejects with a `ClusterCallCode` for every status but 2xx. */
export async function readJson(connection: ApiConnection, request: ApiRequest): Promise<unknown> {
  const headers = { accept: 'application/json', ...request.headers }
  const response = await connection.request({ ...request, headers })
  const chunks: Uint8Array[] = []
  for await (const chunk of response.body) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString('utf8')
  if (response.status >= 200 && response.status < 300) return JSON.parse(text)
  throw refusal(response.status, text, request)
}

function refusal(status: number, text: string, { method, path }: ApiRequest): CodedError<ClusterCallCode> {
  let message = ''
  try {
    message = (JSON.parse(text) as { message?: string }).message?.slice(0, 300) ?? ''
  } catch {
    // Not a Status object: the number has to do.
  }
  const code =
    status === 404
      ? 'CLUSTER_NOT_FOUND'
      : status === 409
        ? 'CLUSTER_CONFLICT'
        : status === 401 || status === 403
          ? 'CLUSTER_FORBIDDEN'
          : 'CLUSTER_CALL_FAILED'
  return new CodedError(code, `the API server answered ${status}${message === '' ? '' : `: ${message}`}`, {
    retryable: status === 409 || status === 429 || status >= 500,
    detail: { status, method, path: path.split('?')[0] },
  })
}
