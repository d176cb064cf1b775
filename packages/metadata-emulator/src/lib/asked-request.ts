import type { IncomingMessage, ServerResponse } from 'node:http'
import type { IpAddress } from '@kube2iam-ts/core'
import type { EmulatorRequest, RequestHeaders } from './message.ts'

/** A request as the handler sees it. The signal is made when somebody wants to wait, which a warm answer does not. */
export class AskedRequest implements EmulatorRequest {
  readonly method: string
  readonly target: string
  readonly peer: IpAddress
  readonly headers: RequestHeaders
  readonly #response: ServerResponse
  #controller: AbortController | undefined

  constructor(request: IncomingMessage, response: ServerResponse, peer: IpAddress, headers: RequestHeaders) {
    this.method = request.method ?? ''
    this.target = request.url ?? ''
    this.peer = peer
    this.headers = headers
    this.#response = response
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController()
      this.#controller = controller
      if (this.#response.destroyed) controller.abort()
      else this.#response.once('close', () => controller.abort())
    }
    return this.#controller.signal
  }
}

/** Whether the headers promise a body. */
export const hasBody = (headers: RequestHeaders): boolean =>
  headers.transferEncoding !== undefined ||
  (headers.contentLength !== undefined && headers.contentLength !== '0')

/** Reads a body to its end and forgets it; `false` where it is longer than allowed. */
export async function swallow(request: IncomingMessage, limit: number): Promise<boolean> {
  let length = 0
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      length += (chunk as Buffer).length
      if (length > limit) return false
    }
  } catch {
    return true
  }
  return true
}
