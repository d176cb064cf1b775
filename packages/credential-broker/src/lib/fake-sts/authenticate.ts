import type { Clock } from '@kube2iam-ts/core'
import { StsRefusal } from './answers.ts'
import type { FakePrincipal } from './fake-sts.ts'
import type { Caller, createSessions } from './sessions.ts'
import { isSignedBy, parseAuthorization, type SignedRequest } from './signature.ts'

export interface Principal extends FakePrincipal {
  readonly caller: Caller
}

export interface Authenticated {
  readonly caller: Caller
  readonly accessKeyId: string
  readonly region: string
  /** Where the caller is one that was added; `undefined` for issued sessions. */
  readonly principal: Principal | undefined
}

interface Known {
  readonly principals: ReadonlyMap<string, Principal>
  readonly sessions: ReturnType<typeof createSessions>
  readonly clock: Clock
  readonly regions: readonly string[] | undefined
}

/** SigV4 requests are good for five minutes, and STS is a little more lenient. */
const LARGEST_SKEW_MS = 5 * 60_000

/** Finds out who signed, or throws what STS answers to a request that nobody it knows has signed rightly. */
export function authenticate(
  request: SignedRequest,
  known: Known,
  seen: (accessKeyId: string) => void,
): Authenticated {
  const header = request.headers['authorization']
  if (header === undefined) {
    throw new StsRefusal(403, 'MissingAuthenticationToken', 'Request is missing Authentication Token')
  }
  const authorization = parseAuthorization(header)
  const stamp = request.headers['x-amz-date'] ?? ''
  if (authorization === undefined || !/^\d{8}T\d{6}Z$/.test(stamp)) {
    throw new StsRefusal(
      400,
      'IncompleteSignature',
      `Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters and an 'X-Amz-Date' header.`,
    )
  }
  const { accessKeyId, region, service, signedHeaders } = authorization
  seen(accessKeyId)
  const token = request.headers['x-amz-security-token']
  const { caller, secret, principal } = identify(accessKeyId, token, known)

  if (service !== 'sts') throw mismatch(`Credential should be scoped to correct service: 'sts'.`)
  if (
    known.regions === undefined ? !/^[a-z]{2,4}(-[a-z]+)+-\d$/.test(region) : !known.regions.includes(region)
  ) {
    throw mismatch('Credential should be scoped to a valid region.')
  }
  if (authorization.date !== stamp.slice(0, 8)) {
    throw mismatch(
      `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${authorization.date}' != '${stamp.slice(0, 8)}', from '${stamp}'.`,
    )
  }
  const unsigned = ['host', 'x-amz-date', ...(token === undefined ? [] : ['x-amz-security-token'])].find(
    (name) => !signedHeaders.includes(name),
  )
  if (unsigned !== undefined)
    throw mismatch(`'${unsigned}' must be a 'SignedHeader' in the AWS Authorization.`)
  checkAge(stamp, known.clock.now())
  if (!isSignedBy(secret, request, authorization)) {
    throw mismatch(
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
    )
  }
  return { caller, accessKeyId, region, principal }
}

function identify(accessKeyId: string, token: string | undefined, { principals, sessions, clock }: Known) {
  const principal = principals.get(accessKeyId)
  if (principal !== undefined) {
    if (principal.sessionToken !== token) throw invalidToken()
    if (principal.expiresAt !== undefined && principal.expiresAt <= clock.now()) throw expiredToken()
    return { caller: principal.caller, secret: principal.secretAccessKey, principal }
  }
  if (token === undefined) throw invalidToken()
  const opened = sessions.open(accessKeyId, token, clock.now())
  switch (opened.kind) {
    case 'session':
      return { caller: opened.caller, secret: opened.secretAccessKey, principal: undefined }
    case 'expired':
      throw expiredToken()
    case 'unknown':
      throw invalidToken()
    default:
      return opened satisfies never
  }
}

function checkAge(stamp: string, now: number): void {
  const iso = stamp.replace(/^(.{4})(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5')
  const age = now - Date.parse(iso)
  const text = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '')
  const limit = new Date(now + (age > 0 ? -LARGEST_SKEW_MS : LARGEST_SKEW_MS))
    .toISOString()
    .replace(/[-:]|\.\d+/g, '')
  if (age > LARGEST_SKEW_MS) {
    throw mismatch(`Signature expired: ${stamp} is now earlier than ${limit} (${text} - 5 min.)`)
  }
  if (age < -LARGEST_SKEW_MS) {
    throw mismatch(`Signature not yet current: ${stamp} is still later than ${limit} (${text} + 5 min.)`)
  }
}

const mismatch = (message: string) => new StsRefusal(403, 'SignatureDoesNotMatch', message)
const invalidToken = () =>
  new StsRefusal(403, 'InvalidClientTokenId', 'The security token included in the request is invalid.')
const expiredToken = () =>
  new StsRefusal(403, 'ExpiredToken', 'The security token included in the request is expired')
