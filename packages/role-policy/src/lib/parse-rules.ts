import { policyInvalid } from './policy-invalid.ts'
import type { PolicyRule } from './settings.ts'

type Kind = 'text' | 'texts' | 'yes or no' | 'number' | 'mode'

const FIELDS: Readonly<Record<keyof PolicyRule, Kind>> = {
  name: 'text',
  namespaces: 'texts',
  serviceAccounts: 'texts',
  allowedRoles: 'texts',
  requireExternalId: 'yes or no',
  externalId: 'text',
  maxDurationSeconds: 'number',
  policyArns: 'texts',
  mode: 'mode',
}

const NEEDS: Readonly<Record<Kind, string>> = {
  text: 'it must be text that is not empty',
  texts: 'it must be a list of texts',
  'yes or no': 'it must be true or false',
  number: 'it must be a number',
  mode: 'it must be "audit" or "enforce"',
}

/**
 * Reads the rules of a configuration file (what its YAML or JSON holds under `rules`); throws `POLICY_INVALID` that says
 * where and what. A field that no rule has is refused: a misspelt restriction restricts nothing.
 */
export function parsePolicyRules(value: unknown): readonly PolicyRule[] {
  if (!Array.isArray(value)) throw policyInvalid('rules', 'it must be a list')
  return value.map((entry: unknown, index) => parseRule(entry, `rules[${index}]`))
}

function parseRule(value: unknown, path: string): PolicyRule {
  if (!isRecord(value)) throw policyInvalid(path, 'it must be an object')
  for (const [field, content] of Object.entries(value)) {
    if (!isField(field)) {
      const known = Object.keys(FIELDS).join(', ')
      throw policyInvalid(`${path}.${field}`, `no rule has this field; the fields are ${known}`)
    }
    if (!isOfKind(content, FIELDS[field])) throw policyInvalid(`${path}.${field}`, NEEDS[FIELDS[field]])
  }
  // Every field was held to its kind just above, and there are no others.
  return { ...value }
}

function isOfKind(value: unknown, kind: Kind): boolean {
  switch (kind) {
    case 'text':
      return typeof value === 'string' && value !== ''
    case 'texts':
      return Array.isArray(value) && value.every((entry) => typeof entry === 'string')
    case 'yes or no':
      return typeof value === 'boolean'
    case 'number':
      return typeof value === 'number'
    case 'mode':
      return value === 'audit' || value === 'enforce'
    default:
      return kind satisfies never
  }
}

const isField = (name: string): name is keyof PolicyRule => Object.hasOwn(FIELDS, name)

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
