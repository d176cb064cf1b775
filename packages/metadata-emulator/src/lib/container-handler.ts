import type { Answer } from './answer.ts'
import type { CredentialService, Patience } from './credential-service.ts'
import { CONTAINER_FAULTS, type ContainerFaultName } from './faults.ts'
import { containerDocument } from './imds-body.ts'
import type { EmulatorRequest } from './message.ts'
import type { Handled } from './metadata-handler.ts'
import { LONGEST_TARGET } from './routes.ts'
import type { EmulatorSettings } from './settings.ts'

/** The EKS form asks the first; either may be the relative URI of the ECS form. */
const PATHS = new Set(['/v1/credentials', '/v2/credentials'])
const LONGEST_TOKEN = 8192

const pathOf = (target: string): string => target.split('?', 1)[0] ?? ''
const hostsOf = ({ containerHosts }: EmulatorSettings): ReadonlySet<string> =>
  new Set(containerHosts.map((host) => host.toLowerCase()))

/**
 * Answers the container-credentials protocol (ECS: 169.254.170.2 with a relative URI; EKS Pod Identity:
 * 169.254.170.23 and [fd00:ec2::23]). Who asks is told by the verified token, not by the address.
 */
export function createContainerHandler(options: { service: CredentialService; settings: EmulatorSettings }) {
  const { service, settings } = options
  const hosts = hostsOf(settings)

  return async (request: EmulatorRequest, patience: Patience): Promise<Handled> => {
    const { method, target, headers, peer } = request
    if (target.length > LONGEST_TARGET) return fault('target-too-long')
    if (!isHost(headers.host, hosts)) return fault('host-invalid')
    if (!PATHS.has(pathOf(target))) return fault('not-found')
    if (method !== 'GET' && method !== 'HEAD') return fault('method')
    const token = headers.authorization
    if (token === undefined || token === '') return fault('token-missing')
    if (token.length > LONGEST_TOKEN || !/^[\x21-\x7e]+$/.test(token)) return fault('token-invalid')

    const found = await service.credentialsForToken(token, peer, patience)
    if (found.kind === 'refused') return fault(found.code, 'pod' in found ? found.pod : undefined)
    const pod = `${found.caller.namespace}/${found.caller.name}`
    return dress({
      status: 200,
      outcome: 'ok',
      body: containerDocument(found.credentials, found.role),
      type: 'application/json',
      pod,
      headers: [],
    })
  }
}

/**
 * Whether a request on a port of both protocols is one for container credentials: by its Host, or by its path, which the
 * metadata service does not have, so that a Host that is none of the protocol's is told so.
 */
export function createContainerTest(settings: EmulatorSettings): (request: EmulatorRequest) => boolean {
  const hosts = hostsOf(settings)
  return ({ headers, target }) =>
    isHost(headers.host, hosts) || (target.startsWith('/v') && PATHS.has(pathOf(target)))
}

/** A page that rebinds its own name to the link-local address sends that name as host. */
function isHost(host: string | undefined, hosts: ReadonlySet<string>): boolean {
  if (host === undefined) return false
  const text = host.toLowerCase()
  return hosts.has(text) || (text.endsWith(':80') && hosts.has(text.slice(0, -3)))
}

export function fault(name: ContainerFaultName, pod?: string): Handled {
  const { status, code, message } = CONTAINER_FAULTS[name]
  const headers = status === 405 ? ['Allow', 'GET, HEAD'] : []
  const body = Buffer.from(JSON.stringify({ code, message }))
  return dress({ status, outcome: name, body, type: 'application/json', pod, headers })
}

const dress = (answer: Answer): Handled => ({
  answer,
  reply: {
    status: answer.status,
    headers: [
      'Connection',
      'close',
      'Content-Type',
      answer.type,
      'Content-Length',
      String(answer.body.length),
      ...answer.headers,
    ],
    body: answer.body,
  },
})
