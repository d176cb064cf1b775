/** An input interface as iptables writes it: a trailing `+` stands for anything. */
export interface InterfaceMatch {
  readonly name: string
  readonly negated: boolean
}

export type Target =
  | { readonly kind: 'accept' | 'drop' | 'return' }
  | { readonly kind: 'dnat'; readonly address: string; readonly port: number }
  | { readonly kind: 'jump'; readonly chain: string }
  /** Any other target; the text is what `other` holds. */
  | { readonly kind: 'other' }

/**
 * One rule, in the small vocabulary that the capture needs, whatever the backend. Whatever a foreign rule says beyond
 * that is kept in `other`, so that such a rule never equals one of ours.
 */
export interface Rule {
  /** An address or CIDR, without `/32` or `/128`. */
  readonly source?: string
  readonly destination?: string
  readonly inInterface?: InterfaceMatch
  readonly protocol?: string
  readonly destinationPort?: number
  readonly comment?: string
  readonly other?: string
  readonly target: Target
}

/** A rule that the kernel has. */
export interface ObservedRule extends Rule {
  /** Exactly as the backend printed it, without counters: what a deletion has to name. */
  readonly raw: string
  readonly packets: number
  readonly bytes: number
}

/** Who wrote a rule: the agent instance, and when it started. Of two instances the later start has the say. */
export interface Owner {
  readonly instance: string
  /** Milliseconds since the epoch at which the instance started. */
  readonly startedAt: number
}

const COMMENT = /^kube2iam-ts:([A-Za-z0-9._-]+):([0-9a-z]+):(.*)$/

/** The comment of a rule of ours: `kube2iam-ts:<instance>:<start, base 36>:<what it does>`. */
export const ownComment = (owner: Owner, what: string): string =>
  `kube2iam-ts:${owner.instance}:${owner.startedAt.toString(36)}:${what}`

/** Who wrote the rule; `undefined` for rules that are not ours. */
export function ownerOf(rule: Rule): Owner | undefined {
  const match = COMMENT.exec(rule.comment ?? '')
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return { instance: match[1], startedAt: Number.parseInt(match[2], 36) }
}

/** Positive if `a` has the say over `b`. Starts in the same millisecond are ordered by name: any order that both know. */
export function compareOwners(a: Owner, b: Owner): number {
  if (a.startedAt !== b.startedAt) return a.startedAt - b.startedAt
  return a.instance === b.instance ? 0 : a.instance > b.instance ? 1 : -1
}

/** Text that is equal exactly if two rules do the same, whoever of us wrote them. */
export const ruleMeaning = (rule: Rule): string =>
  ruleText({ ...rule, comment: (rule.comment ?? '').replace(COMMENT, 'kube2iam-ts:::$3') })

/** Text that is equal exactly if two rules are the same in everything that they say. */
export function ruleText(rule: Rule): string {
  const { source, destination, inInterface, protocol, destinationPort, comment, other, target } = rule
  return JSON.stringify([
    source ?? '',
    destination ?? '',
    inInterface === undefined ? '' : `${inInterface.negated ? '!' : ''}${inInterface.name}`,
    protocol ?? '',
    destinationPort ?? 0,
    comment ?? '',
    other ?? '',
    target.kind === 'dnat'
      ? `dnat ${target.address} ${target.port}`
      : target.kind === 'jump'
        ? `jump ${target.chain}`
        : target.kind,
  ])
}
