import type { KubernetesObject } from './objects.ts'
import { type Resource } from './resources.ts'
import { ApiStatusError, badRequest } from './statuses.ts'

export type Matcher = (object: KubernetesObject) => boolean

const matchAll: Matcher = () => true

/** Parses `a=b,c!=d` over the fields that the kind supports; an unknown field is a 400, as in Kubernetes. */
export function fieldSelector(resource: Resource, text: string | null): Matcher {
  if (text === null || text === '') return matchAll
  const terms = text.split(',').map((term) => {
    const match = /^([^=!]+)(!=|==?)(.*)$/.exec(term)
    if (match === null) throw badRequest(`invalid field selector "${term}"`)
    const [, name = '', operator, value = ''] = match
    const read = fieldReader(resource, name)
    return (object: KubernetesObject) => (read(object) === value) === (operator !== '!=')
  })
  return (object) => terms.every((term) => term(object))
}

function fieldReader(resource: Resource, name: string): (object: KubernetesObject) => string {
  if (name === 'metadata.name') return (object) => object.metadata.name
  if (name === 'metadata.namespace') return (object) => object.metadata.namespace ?? ''
  const read = resource.fields[name]
  if (read === undefined) throw new ApiStatusError(400, 'BadRequest', `field label not supported: ${name}`)
  return read
}

/** Parses a label selector in the syntax of the Kubernetes documentation (equality and set based). */
export function labelSelector(text: string | null): Matcher {
  if (text === null || text.trim() === '') return matchAll
  const terms = splitTerms(text).map(labelTerm)
  return (object) => terms.every((term) => term(object.metadata.labels ?? {}))
}

/** Splits at commas outside parentheses. */
const splitTerms = (text: string): string[] => text.match(/(?:[^,(]|\([^)]*\))+/g) ?? []

function labelTerm(term: string): (labels: Record<string, string>) => boolean {
  const trimmed = term.trim()
  const set = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(trimmed)
  if (set !== null) {
    const [, key = '', operator, inner = ''] = set
    const values = new Set(inner.split(',').map((value) => value.trim()))
    return (labels) => {
      const value = labels[key]
      return operator === 'in'
        ? value !== undefined && values.has(value)
        : value === undefined || !values.has(value)
    }
  }
  const equality = /^([^=!\s]+)\s*(!=|==?)\s*(\S*)$/.exec(trimmed)
  if (equality !== null) {
    const [, key = '', operator, value = ''] = equality
    return (labels) => (operator === '!=' ? labels[key] !== value : labels[key] === value)
  }
  const absent = /^!\s*(\S+)$/.exec(trimmed)
  if (absent !== null) return (labels) => labels[absent[1] ?? ''] === undefined
  if (/^\S+$/.test(trimmed)) return (labels) => labels[trimmed] !== undefined
  throw badRequest(`unable to parse requirement: "${term}"`)
}
