import {
  type BaseArn,
  baseArnOfInstanceProfile,
  type Clock,
  createBackoff,
  isCoded,
  type Random,
  type Report,
} from '@kube2iam-ts/core'
import type { Upstream } from '@kube2iam-ts/metadata-emulator'

export type DiscoveryEvent =
  | { readonly kind: 'base-arn-discovered'; readonly baseArn: string }
  | { readonly kind: 'default-role-discovered'; readonly role: string }
  | { readonly kind: 'discovery-failed'; readonly what: 'base-arn' | 'default-role'; readonly reason: string }

/** What the node's metadata service says about the node's own role. */
export interface NodeRole {
  readonly base: BaseArn
  /** Name of the node's role; `undefined` unless it was asked for. */
  readonly role: string | undefined
}

export interface DiscoveryOptions {
  readonly upstream: Upstream
  readonly clock: Clock
  readonly random: Random
  readonly report: Report<DiscoveryEvent>
  readonly wantRole: boolean
  /** Called after each attempt that found nothing, so that callers who wait can be told that there is no answer yet. */
  readonly onMiss: () => void
}

const INFO_PATH = '/latest/meta-data/iam/info'
const ROLE_PATH = '/latest/meta-data/iam/security-credentials/'
const ATTEMPT_MS = 1_000

/**
 * Asks the metadata service until it has answered: the account of the node's instance profile is the account that
 * short role names are in, as kube2iam's --auto-discover-base-arn has it. Rejects with `ABORTED` only.
 */
export async function discoverNodeRole(options: DiscoveryOptions, signal: AbortSignal): Promise<NodeRole> {
  const { clock, random, report, wantRole, onMiss } = options
  const backoff = createBackoff({ clock, random, baseMs: 500, maxMs: 30_000 })
  for (;;) {
    const base = await attempt(options, INFO_PATH, signal, baseArnOf)
    if (typeof base === 'string') report({ kind: 'discovery-failed', what: 'base-arn', reason: base })
    else {
      report({ kind: 'base-arn-discovered', baseArn: base.value.text })
      if (!wantRole) return { base: base.value, role: undefined }
      const role = await attempt(options, ROLE_PATH, signal, roleOf)
      if (typeof role === 'string') report({ kind: 'discovery-failed', what: 'default-role', reason: role })
      else {
        report({ kind: 'default-role-discovered', role: role.value })
        return { base: base.value, role: role.value }
      }
    }
    onMiss()
    await backoff.wait(signal)
  }
}

/** One question; the reason as text where there is no answer. */
async function attempt<Value>(
  { upstream, clock }: DiscoveryOptions,
  path: string,
  signal: AbortSignal,
  read: (body: string) => Value | undefined,
): Promise<{ value: Value } | string> {
  const late = new AbortController()
  const cancel = clock.after(ATTEMPT_MS, () => late.abort())
  try {
    const answer = await upstream.get(path, { signal: AbortSignal.any([signal, late.signal]) })
    if (answer.status === 404) return 'the instance has no instance profile'
    if (answer.status !== 200) return `the metadata service answered ${answer.status}`
    const value = read(answer.body.toString('utf8'))
    return value === undefined ? 'the answer of the metadata service is not understood' : { value }
  } catch (error) {
    signal.throwIfAborted()
    if (isCoded(error)) return `the metadata service does not answer (${error.code})`
    throw error
  } finally {
    cancel()
  }
}

function baseArnOf(body: string): BaseArn | undefined {
  try {
    const info: unknown = JSON.parse(body)
    if (typeof info !== 'object' || info === null || !('InstanceProfileArn' in info)) return undefined
    return baseArnOfInstanceProfile(String(info.InstanceProfileArn))
  } catch (error) {
    if (error instanceof SyntaxError || isCoded(error)) return undefined
    throw error
  }
}

function roleOf(body: string): string | undefined {
  const name = body.split('\n')[0]?.trim() ?? ''
  return /^[\w+=,.@-]{1,64}$/.test(name) ? name : undefined
}
