import type { Clock, PodIdentity, Report } from '@kube2iam-ts/core'
import type { DenialCode } from '@kube2iam-ts/role-policy'
import type { CredentialServiceEvent } from '../credential-service.ts'
import { aboutPod } from '../kubernetes/object-events.ts'
import type { Output } from './output.ts'

/** What an event on the pod is called, where its owner can do something about the denial. */
const EVENT_REASONS: Readonly<Record<DenialCode, string | undefined>> = {
  // A pod without a role that asks for one is an SDK that tries everything: nothing to warn of.
  'no-role': undefined,
  'host-network': 'HostNetworkHasNoRole',
  'annotation-empty': 'RoleAnnotationEmpty',
  'annotation-invalid': 'RoleAnnotationInvalid',
  'base-arn-missing': 'RoleAnnotationIncomplete',
  'role-mismatch': 'OtherRoleRequested',
  'namespace-annotation-invalid': 'NamespaceRolesInvalid',
  'namespace-denied': 'RoleForbiddenByNamespace',
  'rule-denied': 'RoleForbiddenByRule',
  'external-id-invalid': 'ExternalIdInvalid',
  'external-id-required': 'ExternalIdRequired',
  'session-invalid': 'SessionInvalid',
}

/** The same thing about the same pod is logged again at most this often; metrics count every time. */
const REPEAT_MS = 60_000
/** Different things about one pod in that time. */
const MOST_OF_ONE = 10
/** Pods of which is remembered what was said: more than a node runs. */
const MOST_REMEMBERED = 2_000

/** Refusals and doubts of the credential service as lines, metrics, audit records and events on the pods. */
export function createServiceTelemetry(
  { log, metrics, audit, objectEvents }: Output,
  { clock, clusterName }: { readonly clock: Clock; readonly clusterName: string | undefined },
): Report<CredentialServiceEvent> {
  const isNews = createNews(clock)

  return (event) => {
    switch (event.kind) {
      case 'denied': {
        const { pod, denial } = event
        if (event.by === 'request') metrics.denials.inc({ code: denial.code })
        if (!isNews(pod.uid, denial.code)) return
        const { code, message, role } = denial
        log.write(code === 'no-role' ? 'info' : 'warn', 'role denied', { ...who(pod), code, message, role })
        audit({
          time: new Date(clock.now()).toISOString(),
          action: 'denied',
          pod: `${pod.namespace}/${pod.name}`,
          uid: pod.uid,
          serviceAccount: pod.serviceAccount,
          role,
          ...(clusterName === undefined ? {} : { cluster: clusterName }),
          reason: `${code}: ${message}`,
        })
        const reason = EVENT_REASONS[code]
        if (reason !== undefined) {
          objectEvents.record({
            subject: aboutPod(pod),
            action: 'AssumeRole',
            type: 'Warning',
            reason,
            message,
          })
        }
        return
      }
      case 'would-deny': {
        const { pod, denial } = event
        metrics.wouldDeny.inc({ code: denial.code })
        if (!isNews(pod.uid, `would ${denial.code}`)) return
        const { code, message, role } = denial
        return log.write('warn', 'role would be denied by enforce', { ...who(pod), code, message, role })
      }
      case 'warned': {
        const { pod, message } = event
        if (!isNews(pod.uid, `warned ${message}`)) return
        return log.write('warn', 'session is not as wished', { ...who(pod), message })
      }
      case 'sts-refused':
      case 'sts-unavailable':
        // The broker's own event has the line; this is who met it, for whoever debugs a pod.
        return log.write('debug', 'request met no session', {
          ...who(event.pod),
          role: event.role,
          code: event.code,
          message: event.message,
        })
      case 'pod-ambiguous': {
        metrics.podAmbiguous.inc()
        const pods = event.pods.map((pod) => `${pod.namespace}/${pod.name}`)
        if (!isNews(event.pods[0]?.uid ?? '', `ambiguous ${pods.join(' ')}`)) return
        for (const pod of event.pods) {
          objectEvents.record({
            subject: aboutPod(pod),
            action: 'AssumeRole',
            type: 'Warning',
            reason: 'AddressAmbiguous',
            message:
              'more than one live pod claims this address, so that nobody gets credentials by it until one is gone',
          })
        }
        return log.write('warn', 'address is claimed by more than one pod', { pods })
      }
      case 'pod-in-doubt': {
        const { pod } = event
        metrics.podInDoubt.inc()
        if (!isNews(pod.uid, 'in doubt')) return
        objectEvents.record({
          subject: aboutPod(pod),
          action: 'AssumeRole',
          type: 'Warning',
          reason: 'AddressInDoubt',
          message:
            'the node reaches this pod’s address by an interface that is younger than the pod, so that nobody gets credentials by it until the API server has said whose it is',
        })
        return log.write('warn', 'address comes by a younger interface than its pod', {
          ...who(pod),
          interface: event.interface,
        })
      }
      case 'pod-unknown':
        metrics.podUnknown.inc()
        return
      case 'moved':
        return log.write('info', 'pod went while it waited', who(event.pod))
      default:
        return event satisfies never
    }
  }
}

/**
 * Whether something was not yet said of a pod lately. What a pod's own request says is no part of `what`: it would
 * decide how much is written about it, and with that how soon the disk is full and whom nobody hears.
 */
function createNews(clock: Clock): (uid: string, what: string) => boolean {
  const saidOf = new Map<string, Map<string, number>>()
  return (uid, what) => {
    const now = clock.monotonic()
    const said = saidOf.get(uid) ?? new Map<string, number>()
    for (const [key, at] of said) if (now - at >= REPEAT_MS) said.delete(key)
    if (said.has(what) || said.size >= MOST_OF_ONE) return false
    const oldest = saidOf.size >= MOST_REMEMBERED ? saidOf.keys().next().value : undefined
    if (oldest !== undefined) saidOf.delete(oldest)
    saidOf.delete(uid)
    saidOf.set(uid, said.set(what, now))
    return true
  }
}

const who = (pod: PodIdentity) => ({ pod: `${pod.namespace}/${pod.name}`, uid: pod.uid })
