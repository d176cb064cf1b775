import type { PodIdentity } from '@kube2iam-ts/core'
import { isOwnRole } from './choose-role.ts'
import type { Context } from './context.ts'
import type { Decision, DecisionInput } from './decision.ts'

type Decide = (input: DecisionInput) => Decision

/**
 * Remembers the decision about each pod's own role for as long as the very same records are asked about. Records are
 * never changed in place, a changed pod or namespace is a new record, and so the answer cannot be old; the grant being
 * the same object each time lets others remember what they computed from it. What waits is not remembered.
 */
export function rememberDecisions({ settings }: Context, decide: Decide): Decide {
  const remembered = new WeakMap<
    PodIdentity,
    { readonly input: DecisionInput; readonly decision: Decision }
  >()
  return (input) => {
    const last = remembered.get(input.pod)
    let own = last !== undefined && isAboutTheSame(last.input, input) ? last.decision : undefined
    if (own === undefined) {
      const asked = input.requested === undefined ? input : { ...input, requested: undefined }
      own = decide(asked)
      if (own.kind !== 'wait') remembered.set(input.pod, { input: asked, decision: own })
    }
    if (input.requested === undefined) return own
    // A role that is not the pod's own is refused as such, whatever else may be wrong.
    return own.kind === 'granted' && isOwnRole(own.role, input.requested, settings.base) ? own : decide(input)
  }
}

const isAboutTheSame = (a: DecisionInput, b: DecisionInput): boolean =>
  a.namespace === b.namespace && a.serviceAccount === b.serviceAccount && a.identifiedBy === b.identifiedBy
