import {
  type Clock,
  type Credentials,
  parseIpAddress,
  parseRoleArn,
  type RoleArn,
  Secret,
} from '@kube2iam-ts/core'
import type {
  Caller,
  CallerAnswer,
  CredentialService,
  CredentialsAnswer,
  Patience,
  RefusalCode,
  Refused,
} from './credential-service.ts'

/** A pod as the fake service knows it. */
export interface FakeCaller {
  address: string
  namespace?: string
  name?: string
  uid?: string
  /** A role ARN; without one every answer is the refusal `no-role`. */
  role?: string
  /** What every credential request is refused with. */
  refusal?: RefusalCode
  /** Credential answers come so much later, or at the deadline as `sts-unavailable`. */
  delayMs?: number
  /** Container-credentials token that is the pod's. */
  token?: string
  /** When that token ends. */
  tokenEndsAt?: number
  createdAt?: number
  boundAt?: number
  sandboxAt?: number
}

export interface FakeCredentialService extends CredentialService {
  /** Puts a pod at its address, in the place of whoever was there, and wakes who waits for it. */
  place(caller: FakeCaller): void
  remove(address: string): void
  /** Lets the address read plain metadata without being a pod. */
  list(address: string): void
  readonly calls: {
    readonly verb: string
    readonly address: string
    readonly requested?: string | undefined
  }[]
  /** The session that a role has now; the same object until `renew`. */
  credentialsOf(role: string): Credentials
  renew(role: string): void
}

/** The rest of the agent as a literal object: pods by address, sessions by role. */
export function createFakeCredentialService(options: {
  clock: Clock
  callers?: FakeCaller[]
}): FakeCredentialService {
  const { clock } = options
  const pods = new Map<string, FakeCaller & { caller: Caller }>()
  const listed = new Set<string>()
  const sessions = new Map<string, { readonly session: Credentials; readonly endsAt: number }>()
  const waiters = new Set<() => void>()
  const calls: FakeCredentialService['calls'] = []
  let issued = 0

  const callerAt = (address: string): CallerAnswer => {
    const pod = pods.get(address)
    if (pod !== undefined) return { kind: 'pod', caller: pod.caller }
    return listed.has(address) ? { kind: 'listed' } : { kind: 'unknown' }
  }
  const waitForCaller = async (address: string, patience: Patience): Promise<CallerAnswer> => {
    while (callerAt(address).kind === 'unknown') {
      const left = patience.deadline - clock.monotonic()
      if (left <= 0 || patience.signal.aborted) break
      await new Promise<void>((resolve) => {
        const wake = () => {
          cancel()
          waiters.delete(wake)
          resolve()
        }
        const cancel = clock.after(left, wake)
        waiters.add(wake)
        patience.signal.addEventListener('abort', wake, { once: true })
      })
    }
    return callerAt(address)
  }
  const roleAt = async (
    address: string,
    patience: Patience,
  ): Promise<Refused | { role: RoleArn; pod: FakeCaller & { caller: Caller } }> => {
    const answer = await waitForCaller(address, patience)
    const pod = pods.get(address)
    if (answer.kind !== 'pod' || pod === undefined) return refuse('pod-unknown', undefined, undefined)
    const { refusal } = pod
    if (pod.role === undefined) return refuse('no-role', pod, undefined)
    if (refusal !== undefined && refusal !== 'sts-denied' && refusal !== 'sts-unavailable') {
      return refuse(refusal, pod, pod.role)
    }
    return { role: parseRoleArn(pod.role), pod }
  }
  const credentialsOf = (role: string): Credentials => {
    const held = sessions.get(role)
    if (held !== undefined) return held.session
    issued += 1
    const session: Credentials = {
      accessKeyId: `ASIAFAKE${String(issued).padStart(12, '0')}`,
      secretAccessKey: new Secret(`fake-secret-of-${role}`.padEnd(40, '.')),
      sessionToken: new Secret(`fake-token-${issued}-of-${role}`.padEnd(200, '.')),
      issuedAt: new Date(clock.now()),
      expiration: new Date(clock.now() + LIFE_MS),
    }
    sessions.set(role, { session, endsAt: clock.now() + LIFE_MS })
    return session
  }
  const credentialsFor = async (
    address: string,
    requested: string | undefined,
    patience: Patience,
  ): Promise<CredentialsAnswer> => {
    const found = await roleAt(address, patience)
    if ('kind' in found) return found
    const { role, pod } = found
    if (
      requested !== undefined &&
      ![role.name, `${role.path}${role.name}`.slice(1), role.text].includes(requested)
    ) {
      return refuse('role-mismatch', pod, pod.role)
    }
    if (pod.refusal !== undefined) return refuse(pod.refusal, pod, pod.role)
    if (pod.delayMs !== undefined) {
      const left = patience.deadline - clock.monotonic()
      await clock.sleep(Math.min(pod.delayMs, left), patience.signal).catch(() => {})
      if (pod.delayMs > left) return refuse('sts-unavailable', pod, pod.role)
    }
    const credentials = credentialsOf(role.text)
    // A session that is over is none, whatever its Expiration reads by the clock of the node.
    if ((sessions.get(role.text)?.endsAt ?? 0) <= clock.now()) return refuse('sts-unavailable', pod, pod.role)
    return { kind: 'credentials', role, credentials, caller: pod.caller }
  }

  const service: FakeCredentialService = {
    calls,
    callerAt,
    waitForCaller,
    async roleFor(address, patience) {
      calls.push({ verb: 'roleFor', address })
      const found = await roleAt(address, patience)
      return 'kind' in found ? found : { kind: 'role', role: found.role, caller: found.pod.caller }
    },
    credentialsFor(address, requested, patience) {
      calls.push({ verb: 'credentialsFor', address, requested })
      return credentialsFor(address, requested, patience)
    },
    async credentialsForToken(token, address, patience) {
      calls.push({ verb: 'credentialsForToken', address })
      const pod = [...pods.values()].find((one) => one.token === token)
      if (pod === undefined || (pod.tokenEndsAt ?? Number.POSITIVE_INFINITY) <= clock.now()) {
        return { kind: 'refused', code: 'token-invalid' }
      }
      const there = callerAt(address)
      if (there.kind === 'pod' && there.caller.uid !== pod.caller.uid) {
        return { kind: 'refused', code: 'token-mismatch' }
      }
      return credentialsFor(pod.address, undefined, patience)
    },
    place(caller) {
      const { namespace = 'default', name = 'web-0' } = caller
      const address = parseIpAddress(caller.address)
      pods.set(address, {
        ...caller,
        caller: {
          namespace,
          name,
          uid: caller.uid ?? `uid-of-${namespace}/${name}`,
          createdAt: caller.createdAt ?? clock.now() - 60_000,
          boundAt: caller.boundAt ?? clock.now(),
          sandboxAt: caller.sandboxAt,
        },
      })
      for (const wake of waiters) wake()
    },
    remove(address) {
      pods.delete(parseIpAddress(address))
    },
    list(address) {
      listed.add(parseIpAddress(address))
    },
    credentialsOf,
    renew(role) {
      sessions.delete(role)
    },
  }
  for (const caller of options.callers ?? []) service.place(caller)
  return service
}

const LIFE_MS = 3_600_000

const refuse = (
  code: RefusalCode,
  pod: { caller: Caller } | undefined,
  role: string | undefined,
): Refused => ({
  kind: 'refused',
  code,
  role,
  pod: pod === undefined ? undefined : `${pod.caller.namespace}/${pod.caller.name}`,
})
