import type { PodIdentity } from '@kube2iam-ts/core'
import { quote } from './refuse.ts'
import type { SessionScope } from './settings.ts'

/** Session tags, or why STS would refuse them. */
export type SessionTags =
  | { readonly kind: 'tags'; readonly tags: Readonly<Record<string, string>> }
  | { readonly kind: 'invalid'; readonly why: string }

// STS: at most 50 tags; keys 1-128, values 0-256 of these characters; keys differ in more than case; aws: is reserved.
const MOST_TAGS = 50
const KEY = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u
const VALUE = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u

/**
 * Tags from cluster facts, with the keys that EKS Pod Identity uses, so that policies written for either work with
 * both. Only facts that all sharers of the session have in common.
 */
export function clusterTags(
  scope: SessionScope,
  pod: PodIdentity,
  clusterName: string | undefined,
): Readonly<Record<string, string>> {
  const tags: Record<string, string> = {}
  if (clusterName !== undefined) tags['eks-cluster-name'] = clusterName
  if (scope !== 'role') tags['kubernetes-namespace'] = pod.namespace
  if (scope === 'pod' || scope === 'service-account') tags['kubernetes-service-account'] = pod.serviceAccount
  if (scope === 'pod') {
    tags['kubernetes-pod-name'] = pod.name
    tags['kubernetes-pod-uid'] = pod.uid
  }
  return tags
}

/** The tags that a pod's author wrote (a JSON object of strings); none may look like a fact of the cluster. */
export function parseAuthorTags(text: string): SessionTags {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return invalid('it is not JSON; a right one is {"team": "payments"}')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    return invalid('it is not a JSON object; a right one is {"team": "payments"}')
  }
  const tags: [string, string][] = []
  for (const [key, value] of Object.entries(parsed)) {
    if (typeof value !== 'string') return invalid(`the value of ${quote(key)} is not a string`)
    if (/^(?:kubernetes|eks)-/i.test(key))
      return invalid(`${quote(key)} is reserved for facts of the cluster`)
    tags.push([key, value])
  }
  return checkTags(Object.fromEntries(tags))
}

/** Holds tags to the limits of STS, which would refuse the whole session. */
export function checkTags(tags: Readonly<Record<string, string>>): SessionTags {
  const entries = Object.entries(tags)
  if (entries.length > MOST_TAGS)
    return invalid(`there are ${entries.length} tags, and STS takes ${MOST_TAGS}`)
  const seen = new Set<string>()
  for (const [key, value] of entries) {
    const shown = quote(key)
    if (!KEY.test(key)) return invalid(`tag key ${shown} is not 1-128 characters of those that STS takes`)
    if (/^aws:/i.test(key)) return invalid(`tag key ${shown} is reserved for AWS`)
    if (!VALUE.test(value))
      return invalid(`the value of tag ${shown} is not 0-256 characters of those that STS takes`)
    if (seen.has(key.toLowerCase())) return invalid(`tag key ${shown} occurs twice: STS ignores case`)
    seen.add(key.toLowerCase())
  }
  return { kind: 'tags', tags }
}

const invalid = (why: string): SessionTags => ({ kind: 'invalid', why })
