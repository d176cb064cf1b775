import { hash } from 'node:crypto'
import type { PodIdentity, RoleArn } from '@kube2iam-ts/core'
import type { SessionScope } from './settings.ts'

export interface SessionName {
  /** Legal for STS RoleSessionName and SourceIdentity: 2-64 of [\w+=,.@-]. */
  readonly text: string
  /** Whether it had to be cut or to lose characters. */
  readonly changed: boolean
}

export interface SessionNameOptions {
  scope: SessionScope
  pod: PodIdentity
  role: RoleArn
  /** The pod author's wish (kiam's annotation); used in scope `pod` only. */
  hint?: string | undefined
}

const LONGEST = 64
const DIGEST_LENGTH = 12
/** What is kept of a long namespace before the pod's own name is cut. */
const NAMESPACE_SHARE = 20

// Kubernetes names are lower-case letters, digits, dots and hyphens. The two marks below are legal for STS and never
// part of such a name, so that no pod can be named, or ask to be called, like another pod's session.
const DIGEST_MARK = '+'
const HINT_MARK = '@'

/**
 * The name that CloudTrail shows: `namespace.pod`, `namespace.service-account`, the namespace, or `kube2iam.role` for
 * sessions that all pods of a role share. What does not fit is cut and gets a digest of the whole name.
 */
export function sessionName({ scope, pod, role, hint }: SessionNameOptions): SessionName {
  const facts = nameOf(scope, pod, role)
  if (hint === undefined || hint === '' || scope !== 'pod') return facts
  const wished = hint.replace(/[^\w+=,.@-]/g, '-')
  const fitting = wished.slice(0, Math.max(0, LONGEST - facts.text.length - HINT_MARK.length))
  const changed = facts.changed || fitting !== hint
  return { text: fitting === '' ? facts.text : `${facts.text}${HINT_MARK}${fitting}`, changed }
}

function nameOf(scope: SessionScope, pod: PodIdentity, role: RoleArn): SessionName {
  switch (scope) {
    case 'pod':
      return fit(pod.namespace, pod.name)
    case 'service-account':
      return fit(pod.namespace, pod.serviceAccount)
    case 'namespace':
      return fit('namespace', pod.namespace)
    case 'role':
      return fit('kube2iam', role.name)
    default:
      return scope satisfies never
  }
}

function fit(first: string, second: string): SessionName {
  const whole = `${first}.${second}`
  const legal = whole.replace(/[^\w+=,.@-]/g, '-')
  if (legal === whole && whole.length <= LONGEST) return { text: whole, changed: false }
  const room = LONGEST - DIGEST_MARK.length - DIGEST_LENGTH
  const firstRoom = Math.max(NAMESPACE_SHARE, room - 1 - second.length)
  const kept = `${first.slice(0, firstRoom)}.${second}`.slice(0, room).replace(/[^\w=,.-]/g, '-')
  const digest = hash('sha256', whole, 'base64url').slice(0, DIGEST_LENGTH)
  return { text: `${kept}${DIGEST_MARK}${digest}`, changed: true }
}
