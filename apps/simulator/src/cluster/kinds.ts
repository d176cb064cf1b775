/** What makes pods by a template at a place that is known, and pods themselves. */
export const WORKLOAD_KINDS = [
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'ReplicaSet',
  'ReplicationController',
  'Job',
  'CronJob',
  'Pod',
] as const

/** Kinds that are known to live in a namespace. */
export const NAMESPACED_KINDS: ReadonlySet<string> = new Set([...WORKLOAD_KINDS, 'ServiceAccount'])

/** Kinds whose names are DNS names, which is more than Kubernetes says of roles, say. */
export const DNS_NAMED_KINDS: ReadonlySet<string> = new Set([...NAMESPACED_KINDS, 'Namespace', 'Node'])

/** A name as Kubernetes takes it for most things (RFC 1123 subdomain), and for namespaces (label). */
export const DNS_SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
export const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
