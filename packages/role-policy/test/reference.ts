// What patterns mean, said as plainly as possible and without a thought for speed: the tests hold the real matcher to it.
import type { BaseArn, RoleArn } from '@kube2iam-ts/core'

/** Whether a glob with `*` matches all of the text, by trying everything. */
export function globMatches(glob: string, text: string): boolean {
  if (glob === '') return text === ''
  if (glob[0] === '*') {
    return globMatches(glob.slice(1), text) || (text !== '' && globMatches(glob, text.slice(1)))
  }
  return text !== '' && glob[0] === text[0] && globMatches(glob.slice(1), text.slice(1))
}

/** Whether an expression matches all of the text, by JavaScript's own engine. */
export const regexpMatches = (source: string, text: string): boolean =>
  new RegExp(`^(?:${source})$`).test(text)

/** One pattern as its author means it: parts of an ARN, or what follows the base ARN. */
export type Meaning = { readonly parts: readonly string[] } | { readonly rest: string }

export const written = (meaning: Meaning): string =>
  'rest' in meaning ? meaning.rest : meaning.parts.join(':')

/** Whether a role is meant, by taking its ARN apart and asking for each part. */
export function means(
  meaning: Meaning,
  matches: (pattern: string, text: string) => boolean,
  role: RoleArn,
  base: BaseArn,
): boolean {
  if ('rest' in meaning) {
    return role.text.startsWith(base.text) && matches(meaning.rest, role.text.slice(base.text.length))
  }
  const parts = ['arn', role.partition, 'iam', '', role.account, `role${role.path}${role.name}`]
  return parts.every((part, index) => matches(meaning.parts[index] ?? '', part))
}
