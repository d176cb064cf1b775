import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type Clock, type Random, systemClock } from '@kube2iam-ts/core'
import { failure, type StsAnswer, StsRefusal, success } from './answers.ts'
import { assumeRole, type FakeRole, partsOf } from './assume-role.ts'
import { parseAssumeRole } from './assume-role-request.ts'
import { authenticate, type Principal } from './authenticate.ts'
import { createFaultGate, type FakeStsFaults, noFaults } from './faults.ts'
import { createSessions, randomText } from './sessions.ts'

export interface FakePrincipal {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  /** `arn:…:iam::…:user/NAME`, or `arn:…:sts::…:assumed-role/NODE/i-…` for an instance's credentials. */
  readonly arn: string
  /** ARN globs of the roles that its own policies let it assume; all of them unless told. */
  readonly assumes?: readonly string[]
  /** When its credentials end, in milliseconds since the epoch; never unless told. */
  readonly expiresAt?: number
}

/** One call, as CloudTrail would record it. */
export interface FakeStsCall {
  readonly at: Date
  readonly action: string
  /** From the credential scope; `undefined` where the request was not signed. */
  readonly region: string | undefined
  readonly accessKeyId: string | undefined
  /** Who called; `undefined` where that could not be told. */
  readonly callerArn: string | undefined
  readonly requestParameters: Readonly<Record<string, string>>
  readonly userAgent: string
  /** HTTP status; 0 where the connection was cut or left hanging. */
  readonly status: number
  readonly errorCode: string | undefined
  readonly errorMessage: string | undefined
  readonly requestId: string
  /** The session that was issued. */
  readonly issued:
    | { readonly accessKeyId: string; readonly arn: string; readonly expiration: Date }
    | undefined
}

export interface FakeStsOptions {
  clock?: Clock
  random?: Random
  /** What tokens are sealed with; give the same to a restarted fake and it honours the old tokens. */
  key?: string
  /** Regions whose credential scope is accepted; any well-formed one unless told. */
  regions?: readonly string[]
  /** The organization that every caller's account is in; conditions on it refuse where it is not told. */
  organizationId?: string
  /** Serves HTTPS. */
  tls?: { readonly key: string; readonly cert: string }
}

/**
 * An STS over HTTP: the query protocol's AssumeRole and GetCallerIdentity with real SigV4 verification, trust
 * policies, session limits and error answers. It knows whose every session is, so GetCallerIdentity proves it.
 */
export interface FakeSts {
  listen(at?: { host?: string; port?: number }): Promise<{ url: string; port: number }>
  close(): Promise<void>
  /** Adds a role, or replaces the one with this ARN. */
  addRole(role: FakeRole): void
  removeRole(arn: string): void
  /** Adds a principal, or replaces the one with this access key. */
  addPrincipal(principal: FakePrincipal): void
  removePrincipal(accessKeyId: string): void
  readonly calls: FakeStsCall[]
  readonly faults: FakeStsFaults
}

const LARGEST_BODY = 100_000

export function createFakeSts(options: FakeStsOptions = {}): FakeSts {
  const { clock = systemClock, random = Math.random, regions, tls } = options
  const roles = new Map<string, FakeRole & { id: string }>()
  const principals = new Map<string, Principal>()
  const sessions = createSessions({ key: options.key ?? randomText(random, 32), random })
  const calls: FakeStsCall[] = []
  const faults = noFaults()
  const checkFaults = createFaultGate(faults, clock)
  const requestId = () => {
    const hex = createHash('md5').update(randomText(random, 16)).digest('hex')
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  }

  type Record_ = { -readonly [Field in keyof FakeStsCall]: FakeStsCall[Field] }

  function answer(request: IncomingMessage, body: Buffer, record: Record_): StsAnswer {
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    )
    const target = request.url ?? '/'
    const form = new URLSearchParams(request.method === 'GET' ? target.split('?')[1] : body.toString())
    const action = form.get('Action') ?? ''
    record.action = action
    record.requestParameters = Object.fromEntries(
      [...form].filter(([name]) => name !== 'Action' && name !== 'Version'),
    )
    record.region = /Credential=[^/]+\/\d+\/([a-z0-9-]+)\//.exec(headers['authorization'] ?? '')?.[1]
    checkFaults(action)
    const { caller, principal, region, accessKeyId } = authenticate(
      { method: request.method ?? '', target, headers, body },
      { principals, sessions, clock, regions },
      (id) => {
        record.accessKeyId = id
      },
    )
    record.callerArn = caller.arn
    record.accessKeyId = accessKeyId
    if (faults.regionsOff.has(region)) {
      throw new StsRefusal(
        403,
        'RegionDisabledException',
        `STS is not activated in this region for account:${caller.account}. Your account administrator can activate STS in this region using the IAM Console.`,
      )
    }
    if (form.get('Version') !== '2011-06-15') {
      throw new StsRefusal(
        400,
        'InvalidAction',
        `Could not find operation ${action} for version ${form.get('Version') ?? 'NO_VERSION_SPECIFIED'}`,
      )
    }
    if (action === 'GetCallerIdentity') {
      const { arn, userId, account } = caller
      return success(action, { Arn: arn, UserId: userId, Account: account }, record.requestId)
    }
    if (action !== 'AssumeRole') {
      throw new StsRefusal(400, 'InvalidAction', `Could not find operation ${action} for version 2011-06-15`)
    }
    const wanted = parseAssumeRole(form)
    const { caller: session, packedPolicySize } = assumeRole(
      caller,
      wanted,
      roles.get(wanted.roleArn),
      principal?.assumes ?? ['*'],
      { now: clock.now(), region, organizationId: options.organizationId },
    )
    // STS reports whole seconds.
    const expires = Math.floor(clock.now() / 1000) * 1000 + wanted.durationSeconds * 1000
    const issued = sessions.issue(session, expires)
    record.issued = { accessKeyId: issued.accessKeyId, arn: session.arn, expiration: new Date(expires) }
    return success(
      action,
      {
        AssumedRoleUser: { AssumedRoleId: session.userId, Arn: session.arn },
        Credentials:
          faults.rubbish === 'no-credentials'
            ? undefined
            : {
                AccessKeyId: issued.accessKeyId,
                SecretAccessKey: issued.secretAccessKey,
                SessionToken: issued.sessionToken,
                Expiration: new Date(expires).toISOString().replace('.000Z', 'Z'),
              },
        SourceIdentity: session.sourceIdentity,
        PackedPolicySize: packedPolicySize,
      },
      record.requestId,
    )
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > LARGEST_BODY) return void request.destroy()
      chunks.push(chunk)
    }
    const record: Record_ = {
      at: new Date(clock.now()),
      action: '',
      region: undefined,
      accessKeyId: undefined,
      callerArn: undefined,
      requestParameters: {},
      userAgent: request.headers['user-agent'] ?? '',
      status: 0,
      errorCode: undefined,
      errorMessage: undefined,
      requestId: requestId(),
      issued: undefined,
    }
    calls.push(record)
    if (faults.hang) return
    if (faults.outage === 'reset') return void request.socket.destroy()
    let told: StsAnswer
    try {
      told = answer(request, Buffer.concat(chunks), record)
    } catch (error) {
      if (!(error instanceof StsRefusal)) throw error
      told = failure(error, record.requestId)
    }
    if (faults.latencyMs > 0) await clock.sleep(faults.latencyMs)
    record.status = told.status
    record.errorCode = told.errorCode
    record.errorMessage = told.errorMessage
    write(response, told.status === 200 ? spoil(told, faults.rubbish) : told, record.requestId, clock)
  }

  const listener = (request: IncomingMessage, response: ServerResponse) => {
    // A peer that went away is its own affair; anything else is a bug of the fake and must be seen.
    handle(request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : new Error(String(error)))
    })
  }
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)

  return {
    calls,
    faults,
    async listen({ host = '127.0.0.1', port = 0 } = {}) {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => resolve())
      })
      const bound = (server.address() as AddressInfo).port
      const name = host.includes(':') ? `[${host}]` : host
      return { url: `${tls === undefined ? 'http' : 'https'}://${name}:${bound}`, port: bound }
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
    addRole(role) {
      roles.set(role.arn, { ...role, id: roles.get(role.arn)?.id ?? `AROA${randomText(random, 17)}` })
    },
    removeRole: (arn) => void roles.delete(arn),
    addPrincipal(principal) {
      const { partition, account, resource } = partsOf(principal.arn)
      const [, roleName, sessionName] = /^assumed-role\/([^/]+)\/(.+)$/.exec(resource) ?? []
      const id = randomText(random, 17)
      principals.set(principal.accessKeyId, {
        ...principal,
        caller: {
          arn: principal.arn,
          userId: roleName === undefined ? `AIDA${id}` : `AROA${id}:${sessionName}`,
          account,
          roleArn: roleName === undefined ? undefined : `arn:${partition}:iam::${account}:role/${roleName}`,
          transitiveTags: {},
          sourceIdentity: undefined,
        },
      })
    },
    removePrincipal: (accessKeyId) => void principals.delete(accessKeyId),
  }
}

function spoil(told: StsAnswer, rubbish: FakeStsFaults['rubbish']): StsAnswer {
  switch (rubbish) {
    case 'html':
      return { status: 200, body: '<html><body>Please sign in to the hotel network</body></html>' }
    case 'truncated':
      return { status: 200, body: told.body.slice(0, told.body.length / 2) }
    case 'empty':
      return { status: 200, body: '' }
    case 'no-credentials':
    case undefined:
      return told
    default:
      return rubbish satisfies never
  }
}

function write(response: ServerResponse, told: StsAnswer, requestId: string, clock: Clock): void {
  const body = Buffer.from(told.body)
  response.sendDate = false
  response.writeHead(told.status, {
    'x-amzn-requestid': requestId,
    'content-type': 'text/xml',
    'content-length': body.length,
    // By the fake's clock: clients measure their skew by it.
    date: new Date(clock.now()).toUTCString(),
    ...told.headers,
  })
  response.end(body)
}
