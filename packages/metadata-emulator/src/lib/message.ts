import type { IpAddress } from '@kube2iam-ts/core'

/** The headers that matter, each as it was sent; a header that was sent twice has both values, joined by `, `. */
export interface RequestHeaders {
  readonly token?: string | undefined
  readonly tokenTtl?: string | undefined
  readonly forwardedFor?: string | undefined
  readonly authorization?: string | undefined
  readonly host?: string | undefined
  readonly upgrade?: string | undefined
  readonly contentLength?: string | undefined
  readonly transferEncoding?: string | undefined
}

/** A request whose sender is known by the socket that it came from, never by a header. */
export interface EmulatorRequest {
  readonly method: string
  /** The request target as it was on the wire. */
  readonly target: string
  readonly peer: IpAddress
  readonly headers: RequestHeaders
  /** Aborted when the client hangs up. */
  readonly signal: AbortSignal
}

export interface Reply {
  readonly status: number
  /** Names and values in turns. `Date` is left to the server. */
  readonly headers: readonly string[]
  /** Complete also for HEAD, whose answer the server cuts. */
  readonly body: Buffer
}

/** Answers a request. Never rejects. */
export type Handler = (request: EmulatorRequest) => Promise<Reply>

export const EMPTY: Buffer = Buffer.alloc(0)

const HEADER_KEYS: Readonly<Record<string, keyof RequestHeaders>> = {
  'x-aws-ec2-metadata-token': 'token',
  'x-aws-ec2-metadata-token-ttl-seconds': 'tokenTtl',
  'x-forwarded-for': 'forwardedFor',
  authorization: 'authorization',
  host: 'host',
  upgrade: 'upgrade',
  'content-length': 'contentLength',
  'transfer-encoding': 'transferEncoding',
}
const HEADER_LENGTHS = new Set(Object.keys(HEADER_KEYS).map((name) => name.length))

/** Picks the headers that matter out of Node's raw list, without building the object of all. */
export function pickHeaders(raw: readonly string[]): RequestHeaders {
  const picked: { -readonly [Key in keyof RequestHeaders]: RequestHeaders[Key] } = {}
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? ''
    if (!HEADER_LENGTHS.has(name.length)) continue
    const key = HEADER_KEYS[name.toLowerCase()]
    if (key === undefined) continue
    const value = raw[index + 1] ?? ''
    picked[key] = picked[key] === undefined ? value : `${picked[key]}, ${value}`
  }
  return picked
}
