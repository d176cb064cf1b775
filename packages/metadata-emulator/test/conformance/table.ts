import { expect } from 'vitest'
import type { RawAnswer } from '../support/raw-client.ts'
import type { Ask, World, WorldOptions } from '../support/world.ts'

/** `1` to `100` and `K1` to `K12` of the wire contract. */
export type RowNumber = number | `K${number}`
export type Mode = 'optional' | 'required'

interface Common {
  readonly row: RowNumber
  readonly does: string
  /** Without one the row holds in both. */
  readonly mode?: Mode
}

/** One request and what it gets. */
export interface RequestRow extends Common {
  /** `token: 'T'` is a valid token of the asking address, and what a row without a word about tokens sends. */
  readonly send: Ask & { readonly token?: string }
  readonly want: Want
}

/** More than one request, or a world of its own. */
export interface ScenarioRow extends Common {
  run(tools: Tools): Promise<void>
}

/** What cannot be shown here, and why. */
export interface ElsewhereRow extends Common {
  readonly elsewhere: string
}

export type Row = RequestRow | ScenarioRow | ElsewhereRow

export interface Tools {
  readonly world: World
  /** A world of the row's own, closed after it. */
  readonly open: (options?: WorldOptions) => Promise<World>
}

export interface Want {
  readonly status: number
  /** Of an error the body is empty unless told. */
  readonly body?: string | RegExp
  /** `left`: the token's remaining seconds are named; `absent`: none are; else the text itself. */
  readonly ttl?: string
  readonly type?: string
  readonly allow?: string
  /** What the instance is asked; nothing unless told. */
  readonly forwards?: readonly string[]
}

/** The header block that every answer carries, the body's length, and the fields of the row. */
export function expectAnswer(answer: RawAnswer, want: Want, method = 'GET'): void {
  expect(answer.status).toBe(want.status)
  expect(answer.header('server')).toBe('EC2ws')
  expect(answer.header('connection')).toBe('close')
  expect(Date.parse(answer.header('date') ?? '')).not.toBeNaN()
  expect(answer.header('transfer-encoding')).toBeUndefined()
  expect(answer.header('content-type')).toBe(want.type ?? 'text/plain')
  const body = answer.body.toString()
  if (method !== 'HEAD') expect(answer.header('content-length')).toBe(String(answer.body.length))
  if (want.body instanceof RegExp) expect(body).toMatch(want.body)
  else if (want.body !== undefined || want.status >= 400) expect(body).toBe(want.body ?? '')
  if (want.allow !== undefined) expect(answer.header('allow')).toBe(want.allow)
  const ttl = answer.header('x-aws-ec2-metadata-token-ttl-seconds')
  if (want.ttl === 'absent') expect(ttl).toBeUndefined()
  else if (want.ttl === 'left') expect(Number(ttl)).toSatisfy((left: number) => left >= 0 && left <= 21_600)
  else if (want.ttl !== undefined) expect(ttl).toBe(want.ttl)
}

/** What the instance was asked beside the tokens of the agent itself. */
export const forwarded = (world: World): string[] =>
  world.instance.requests
    .filter((one) => !(one.method === 'PUT' && one.target === '/latest/api/token'))
    .map((one) => one.target)

export const TOKEN_PATH = '/latest/api/token'
export const TTL = 'X-aws-ec2-metadata-token-ttl-seconds'
export const CREDENTIALS = '/latest/meta-data/iam/security-credentials'
export const EXTENDED = '/latest/meta-data/iam/security-credentials-extended'
