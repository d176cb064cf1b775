/** One call to the API server. */
export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Path with query, from the root: `/api/v1/pods?limit=500`. */
  readonly path: string
  /** Lower-case names. The connection adds authentication. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal?: AbortSignal
}

/** The answer's head, and its body as it arrives. Leaving the body's loop early ends the request. */
export interface ApiResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: AsyncIterable<Uint8Array>
}

/**
 * The way to one API server: address, transport security and authentication are inside. Rejects with
 * `CLUSTER_UNREACHABLE` where no answer came and with `CLUSTER_CREDENTIALS` where the client's own could not be had;
 * every answer with a status is a value.
 */
export interface ApiConnection {
  request(request: ApiRequest): Promise<ApiResponse>
  close(): Promise<void>
}
