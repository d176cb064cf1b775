import type { Clock, Credentials, IpAddress, RoleArn } from '@kube2iam-ts/core'
import { type Answer, empty, text } from './answer.ts'
import type { CredentialService, Patience, Refused, RoleAnswer } from './credential-service.ts'
import { METADATA_STATUS } from './faults.ts'
import { assumeRoleRefused, credentialDocument, profileInfo } from './imds-body.ts'
import type { EmulatorSettings } from './settings.ts'

export interface CredentialRoutes {
  roleList(peer: IpAddress, patience: Patience): Promise<Answer>
  document(peer: IpAddress, requested: string, extended: boolean, patience: Patience): Promise<Answer>
  index(peer: IpAddress, patience: Patience): Promise<Answer>
  info(peer: IpAddress, patience: Patience): Promise<Answer>
  hasRole(peer: IpAddress, patience: Patience): Promise<boolean>
}

/** Everything below `iam/`: answered from the pod's own role and from nothing else. */
export function createCredentialRoutes(options: {
  service: CredentialService
  clock: Clock
  settings: EmulatorSettings
}): CredentialRoutes {
  const { service, clock, settings } = options
  const bodies = createBodyCache()

  const withRole = async (
    peer: IpAddress,
    patience: Patience,
    answer: (role: RoleArn) => Buffer | string,
  ): Promise<Answer> => {
    const found: RoleAnswer = await service.roleFor(peer, patience)
    return found.kind === 'refused' ? refusal(found) : text(answer(found.role), nameOf(found.caller))
  }

  const refusal = (refused: Refused): Answer => {
    const { code, role = 'of the pod', pod } = refused
    if (code === 'sts-denied' && settings.deniedAnswer === 'document') {
      const body = assumeRoleRefused(role, pod ?? 'that asks', clock.now())
      return { ...text(body, pod), outcome: code }
    }
    return empty(METADATA_STATUS[code], code, pod)
  }

  return {
    // Nobody trims the list, and nobody follows a redirect to it: the name and nothing else, on both slash forms.
    roleList: (peer, patience) => withRole(peer, patience, (role) => role.name),
    index: (peer, patience) => withRole(peer, patience, () => 'info\nsecurity-credentials/'),
    info: (peer, patience) => withRole(peer, patience, (role) => profileInfo(role, clock.now())),
    async hasRole(peer, patience) {
      return (await service.roleFor(peer, patience)).kind === 'role'
    },
    async document(peer, requested, extended, patience) {
      const found = await service.credentialsFor(peer, requested, patience)
      if (found.kind === 'refused') return refusal(found)
      return text(bodies.get(found.credentials, found.role, extended), nameOf(found.caller))
    },
  }
}

const nameOf = (caller: { namespace: string; name: string }): string => `${caller.namespace}/${caller.name}`

/** The encoded documents of the sessions that are held elsewhere; they go when the session goes. */
function createBodyCache() {
  const plain = new WeakMap<Credentials, Buffer>()
  const extendedOnes = new WeakMap<Credentials, Buffer>()
  return {
    get(credentials: Credentials, role: RoleArn, extended: boolean): Buffer {
      const cache = extended ? extendedOnes : plain
      const held = cache.get(credentials)
      if (held !== undefined) return held
      const body = credentialDocument(credentials, extended ? role.account : undefined)
      cache.set(credentials, body)
      return body
    },
  }
}
