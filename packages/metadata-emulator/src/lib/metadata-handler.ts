import type { Clock, IpAddress } from '@kube2iam-ts/core'
import { type Answer, empty, metadataReply, text } from './answer.ts'
import { type CredentialRoutes, createCredentialRoutes } from './credential-routes.ts'
import type { CallerAnswer, CredentialService, Patience } from './credential-service.ts'
import type { Asker } from './fair-turns.ts'
import type { EmulatorRequest, Reply } from './message.ts'
import { LONGEST_TARGET, type Route } from './routes.ts'
import type { EmulatorSettings } from './settings.ts'
import type { SpareUpstream } from './spare-upstream.ts'
import { parseTtlSeconds, type Tokens, type Verification } from './tokens.ts'
import { createTreeRoutes, type TreeRoutes } from './tree-routes.ts'

export interface MetadataHandlerOptions {
  readonly service: CredentialService
  readonly upstream: SpareUpstream
  readonly tokens: Tokens
  readonly clock: Clock
  readonly settings: EmulatorSettings
}

/** A dressed reply with what the event says of it. */
export interface Handled {
  readonly reply: Reply
  readonly answer: Answer
}

const ALLOW_TOKEN = ['Allow', 'OPTIONS, PUT']
const ALLOW_READ = ['Allow', 'GET, HEAD']

/**
 * Answers what was asked of the metadata service. The order is the contract: the token path for anybody, then
 * method, token, caller, and only then the route.
 */
export function createMetadataHandler(options: MetadataHandlerOptions) {
  const { service, tokens, settings } = options
  const credentials = createCredentialRoutes(options)
  const tree = createTreeRoutes(options)

  return async (request: EmulatorRequest, route: Route, patience: Patience): Promise<Handled> => {
    if (route.name === 'token') return dress(tokenRoute(request, service, tokens))
    const early = refuseEarly(request, route)
    if (early !== undefined) return dress(early)

    const { token } = request.headers
    if (token === undefined && settings.tokens === 'required') return dress(empty(401, 'token-missing'))
    let caller = service.callerAt(request.peer)
    let verified: Verification | undefined =
      token === undefined ? undefined : tokens.verify(token, request.peer, caller)
    if (verified?.kind === 'invalid') return dress(empty(401, 'token-invalid', podOf(caller)))

    if (caller.kind === 'unknown' && isServed(route)) {
      caller = await service.waitForCaller(request.peer, patience)
      if (token !== undefined) verified = tokens.verify(token, request.peer, caller)
      if (verified?.kind === 'invalid') return dress(empty(401, 'token-invalid', podOf(caller)))
    }
    const answer = await dispatch(route, request, caller, patience, credentials, tree)
    return dress(
      answer.pod === undefined ? { ...answer, pod: podOf(caller) } : answer,
      verified?.kind === 'valid' ? verified.remainingSeconds : undefined,
    )
  }
}

const dress = (answer: Answer, ttl?: number): Handled => ({ answer, reply: metadataReply(answer, ttl) })

/** Tokens are no authorisation: whoever asks gets one, with everything else down (rows 1-28). */
function tokenRoute(
  { method, headers, peer }: EmulatorRequest,
  service: CredentialService,
  tokens: Tokens,
): Answer {
  if (method === 'OPTIONS') return { ...text(''), headers: ALLOW_TOKEN }
  if (method !== 'PUT') return empty(405, 'method', undefined, ALLOW_TOKEN)
  if (headers.forwardedFor !== undefined) return empty(403, 'forwarded-for')
  const ttl = parseTtlSeconds(headers.tokenTtl)
  if (ttl === undefined) return empty(400, 'ttl-invalid')
  const caller = service.callerAt(peer)
  const issued = text(tokens.issue(peer, caller, ttl), podOf(caller))
  return { ...issued, headers: ['X-Aws-Ec2-Metadata-Token-Ttl-Seconds', String(ttl)] }
}

/** What is refused whoever asks and whatever the token says. */
function refuseEarly({ method, headers, target }: EmulatorRequest, route: Route): Answer | undefined {
  if (target.length > LONGEST_TARGET) return empty(414, 'target-too-long')
  if (route.name === 'token-versioned' && method === 'PUT') return empty(403, 'not-served')
  if (method !== 'GET' && method !== 'HEAD') return empty(405, 'method', undefined, ALLOW_READ)
  if (headers.token !== undefined && headers.forwardedFor !== undefined) return empty(403, 'forwarded-for')
  return undefined
}

const isServed = (route: Route): boolean =>
  route.name !== 'malformed' && route.name !== 'never' && route.name !== 'token-versioned'

// No `async` of its own: a promise more in the way of every request.
function dispatch(
  route: Exclude<Route, { name: 'token' }>,
  request: EmulatorRequest,
  caller: CallerAnswer,
  patience: Patience,
  credentials: CredentialRoutes,
  tree: TreeRoutes,
): Answer | Promise<Answer> {
  const { peer } = request
  switch (route.name) {
    // Of an address that stayed unknown these are 503 and not 403 (row 68): their service says so itself.
    case 'role-list':
      return credentials.roleList(peer, patience)
    case 'role-document':
      return credentials.document(peer, route.requested, route.extended, patience)
    case 'iam-index':
      return credentials.index(peer, patience)
    case 'iam-info':
      return credentials.info(peer, patience)
    case 'versions':
    case 'version-index':
    case 'meta-data-index':
    case 'metadata':
    case 'never':
    case 'token-versioned':
    case 'malformed':
      if (caller.kind === 'unknown') return empty(403, 'caller-unknown')
      return treeRoute(route, () => hasRole(peer, caller, patience, credentials), request, tree)
    default:
      return route satisfies never
  }
}

const hasRole = async (
  peer: IpAddress,
  caller: CallerAnswer,
  patience: Patience,
  credentials: CredentialRoutes,
): Promise<boolean> => caller.kind === 'pod' && (await credentials.hasRole(peer, patience))

type TreeRoute = Extract<
  Route,
  {
    name:
      | 'versions'
      | 'version-index'
      | 'meta-data-index'
      | 'metadata'
      | 'never'
      | 'token-versioned'
      | 'malformed'
  }
>

async function treeRoute(
  route: TreeRoute,
  withIam: () => Promise<boolean>,
  asker: Asker,
  tree: TreeRoutes,
): Promise<Answer> {
  switch (route.name) {
    case 'versions':
      return tree.versions()
    case 'version-index':
      return tree.versionIndex()
    case 'meta-data-index':
      return await tree.metaDataIndex(route.version, await withIam(), asker)
    case 'metadata':
      return await tree.read(route.path, route.below, asker)
    case 'never':
    case 'token-versioned':
      return empty(404, 'not-served')
    case 'malformed':
      return empty(404, 'malformed')
    default:
      return route satisfies never
  }
}

const podOf = (caller: CallerAnswer): string | undefined =>
  caller.kind === 'pod' ? `${caller.caller.namespace}/${caller.caller.name}` : undefined
