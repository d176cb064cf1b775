import { StsRefusal } from './answers.ts'

/** AssumeRole's parameters after STS's own validation. */
export interface AssumeRoleRequest {
  readonly roleArn: string
  readonly sessionName: string
  readonly durationSeconds: number
  readonly externalId: string | undefined
  readonly sourceIdentity: string | undefined
  readonly tags: Readonly<Record<string, string>>
  readonly transitiveTagKeys: readonly string[]
  readonly policyArns: readonly string[]
  readonly policy: string | undefined
}

/** Reads the form that the query protocol carries; throws the `ValidationError` that STS would answer. */
export function parseAssumeRole(form: URLSearchParams): AssumeRoleRequest {
  const required = (name: string): string => {
    const value = form.get(name)
    if (value === null) throw constraint(null, name, 'Member must not be null')
    return value
  }
  const matched = (name: string, pattern: RegExp, least: number, most: number): string | undefined => {
    const value = form.get(name)
    if (value === null) return undefined
    if (value.length < least) {
      throw constraint(value, name, `Member must have length greater than or equal to ${least}`)
    }
    if (value.length > most) {
      throw constraint(value, name, `Member must have length less than or equal to ${most}`)
    }
    if (!new RegExp(`^${pattern.source}$`, 'u').test(value)) {
      throw constraint(value, name, `Member must satisfy regular expression pattern: ${pattern.source}`)
    }
    return value
  }

  const roleArn = required('RoleArn')
  if (!/^arn:[a-z-]+:iam::\d{12}:role\/.+$/.test(roleArn)) {
    throw new StsRefusal(400, 'ValidationError', `${roleArn} is invalid`)
  }
  required('RoleSessionName')
  const tags = members(form, 'Tags').map(([at]) => [
    form.get(`${at}.Key`) ?? '',
    form.get(`${at}.Value`) ?? '',
  ])
  const keys = tags.map(([key = '']) => key.toLowerCase())
  if (tags.length > 50)
    throw constraint(tags.length, 'Tags', 'Member must have length less than or equal to 50')
  if (new Set(keys).size !== keys.length) {
    throw new StsRefusal(
      400,
      'InvalidParameterValue',
      'Duplicate tag keys found. Please note that Tag keys are case insensitive.',
    )
  }
  for (const [key = '', value = ''] of tags) {
    if (!/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u.test(key) || /^aws:/i.test(key)) {
      throw constraint(
        key,
        'tags.member.key',
        'Member must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+',
      )
    }
    if (!/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u.test(value)) {
      throw constraint(
        value,
        'tags.member.value',
        'Member must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*',
      )
    }
  }

  return {
    roleArn,
    sessionName: matched('RoleSessionName', /[\w+=,.@-]*/, 2, 64) ?? '',
    durationSeconds: parseDuration(form.get('DurationSeconds') ?? '3600'),
    externalId: matched('ExternalId', /[\w+=,.@:/-]*/, 2, 1224),
    sourceIdentity: matched('SourceIdentity', /[\w+=,.@-]*/, 2, 64),
    tags: Object.fromEntries(tags) as Record<string, string>,
    transitiveTagKeys: members(form, 'TransitiveTagKeys').map(([, value]) => value),
    policyArns: members(form, 'PolicyArns').map(([at]) => form.get(`${at}.arn`) ?? ''),
    policy: parsePolicy(form.get('Policy') ?? undefined),
  }
}

function parseDuration(text: string): number {
  const seconds = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(seconds)) throw new StsRefusal(400, 'MalformedInput', 'DurationSeconds is no integer')
  if (seconds < 900)
    throw constraint(text, 'durationSeconds', 'Member must have value greater than or equal to 900')
  if (seconds > 43_200)
    throw constraint(text, 'durationSeconds', 'Member must have value less than or equal to 43200')
  return seconds
}

function parsePolicy(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  try {
    JSON.parse(text)
  } catch {
    throw new StsRefusal(400, 'MalformedPolicyDocument', 'Syntax errors in policy.')
  }
  return text
}

/** `Tags.member.1`, `Tags.member.2` … in order: the name up to the index, and the value where it has one. */
function members(form: URLSearchParams, name: string): [at: string, value: string][] {
  const found: [string, string][] = []
  const names = [...form.keys()]
  for (let index = 1; ; index += 1) {
    const at = `${name}.member.${index}`
    if (!names.some((key) => key === at || key.startsWith(`${at}.`))) return found
    found.push([at, form.get(at) ?? ''])
  }
}

function constraint(value: string | number | null, name: string, what: string): StsRefusal {
  const at = name.charAt(0).toLowerCase() + name.slice(1)
  const shown = value === null ? 'null' : `'${value}'`
  return new StsRefusal(
    400,
    'ValidationError',
    `1 validation error detected: Value ${shown} at '${at}' failed to satisfy constraint: ${what}`,
  )
}
