import { randomUUID } from 'node:crypto'

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** What most objects' names have to be: RFC 1123, at most 253 characters. */
export const isSubdomain = (name: string): boolean => name.length <= 253 && SUBDOMAIN.test(name)

/** As a `generateName` is checked: one dash at its end is forgiven, since something follows (`maskTrailingDash`). */
export const isSubdomainPrefix = (prefix: string): boolean =>
  isSubdomain(prefix.length > 1 && prefix.endsWith('-') ? `${prefix.slice(0, -2)}a` : prefix)

/** A name from a prefix, in 63 characters altogether (apiserver, `names.SimpleNameGenerator`). */
export const generatedName = (prefix: string): string => `${prefix.slice(0, 58)}${randomUUID().slice(0, 5)}`
