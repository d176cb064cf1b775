import type { Denial, Wait } from './decision.ts'
import type { NamespaceRuleReader } from './namespace-rules.ts'
import type { CompiledRule } from './policy-rules.ts'
import type { AnnotationKeys, PolicySettings, SessionScope, SessionSettings } from './settings.ts'

/** The settings as the steps of a decision use them: parsed, compiled, with every default filled in. */
export interface Context {
  readonly settings: PolicySettings
  readonly keys: AnnotationKeys
  readonly mode: NonNullable<PolicySettings['namespaceRestrictions']>
  readonly session: SessionContext
  readonly reader: NamespaceRuleReader
  readonly rules: readonly CompiledRule[]
}

/** The session settings with their defaults. */
export interface SessionContext extends SessionSettings {
  readonly scope: SessionScope
  readonly durationSeconds: number
  readonly maxDurationSeconds: number
}

/** What ends a decision early. */
export type Stop = Denial | Wait

export const isStop = (value: { readonly kind: string }): value is Stop =>
  value.kind === 'denied' || value.kind === 'wait'
