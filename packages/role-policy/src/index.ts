export type {
  Decision,
  DecisionInput,
  Denial,
  DenialCode,
  ExplainedRule,
  Explanation,
  Granted,
  Missing,
  RoleSource,
  Wait,
} from './lib/decision.ts'
export { parsePolicyRules } from './lib/parse-rules.ts'
export type { Policy } from './lib/policy.ts'
export { createPolicy } from './lib/policy.ts'
export { renderExplanation } from './lib/render-explanation.ts'
export type {
  AnnotationKeys,
  PatternFormat,
  PolicyRule,
  PolicySettings,
  ReadAnnotations,
  RestrictionMode,
  SessionScope,
  SessionSettings,
} from './lib/settings.ts'
export { annotationKeys, DEFAULT_ANNOTATION_KEYS, readAnnotations } from './lib/settings.ts'
