import { isDeepStrictEqual } from 'node:util'
import { isSubdomain, isSubdomainPrefix } from './object-names.ts'
import { at, type KubernetesObject, text } from './objects.ts'
import { ApiStatusError, badRequest } from './statuses.ts'

// What the API server wants of an Event (kubernetes/kubernetes, pkg/apis/core/validation/events.go). `Event`s of `v1` are
// held to the older rules only, those of `events.k8s.io/v1` to all. Both are looked at in the form in which they are kept.

const LONGEST = { reportingInstance: 128, action: 128, reason: 128, message: 1024 } as const
const QUALIFIED = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

/** Refuses an Event that the API server would not create: 400 where it could not be read, 422 where it breaks a rule. */
export function checkNewEvent(event: KubernetesObject, group: string): void {
  readable(event)
  const errors = common(event)
  if (group !== '') {
    const { name, generateName } = event.metadata
    errors.push(
      ...(generateName && !isSubdomainPrefix(generateName)
        ? noName('metadata.generateName', generateName)
        : []),
      ...(isSubdomain(name) ? [] : noName('metadata.name', name)),
      ...series(event),
      ...(isSet(event['eventTime']) ? [] : ['eventTime: Required value']),
      ...(['Normal', 'Warning'].includes(text(event['type']))
        ? []
        : [`type: Invalid value: "": has invalid value: ${text(event['type'])}`]),
      ...['firstTimestamp', 'lastTimestamp', 'count']
        .filter((field) => isSet(event[field]))
        .map((field) => `${field}: Invalid value: "": needs to be unset`),
      ...(isSet(at(event, 'source', 'component')) || isSet(at(event, 'source', 'host'))
        ? ['source: Invalid value: "": needs to be unset']
        : []),
    )
  }
  refuse(event, errors)
}

/** The same of a change: of an Event of `events.k8s.io/v1` only the series may change, and labels and annotations. */
export function checkChangedEvent(event: KubernetesObject, before: KubernetesObject, group: string): void {
  readable(event)
  const errors = common(event)
  if (group !== '') {
    if (!same(event['series'], before['series'])) errors.push(...series(event))
    errors.push(
      ...FIXED.filter((field) => !same(event[field], before[field])).map(
        (field) => `${field}: Invalid value: ${JSON.stringify(event[field])}: field is immutable`,
      ),
    )
  }
  refuse(event, errors)
}

const FIXED = [
  'involvedObject',
  'reason',
  'message',
  'source',
  'firstTimestamp',
  'lastTimestamp',
  'count',
  'type',
  'eventTime',
  'action',
  'related',
  'reportingComponent',
  'reportingInstance',
]

const isSet = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== '' && value !== 0
const same = (a: unknown, b: unknown): boolean => (!isSet(a) && !isSet(b)) || isDeepStrictEqual(a, b)

function common(event: KubernetesObject): string[] {
  const { namespace = '' } = event.metadata
  const about = text(at(event, 'involvedObject', 'namespace'))
  const mismatch = [`involvedObject.namespace: Invalid value: "${about}": does not match event.namespace`]
  if (!isSet(event['eventTime'])) return (about || 'default') === namespace ? [] : mismatch
  const controller = text(event['reportingComponent'])
  return [
    ...(about === '' && namespace !== 'default' && namespace !== 'kube-system' ? mismatch : []),
    ...(controller === '' ? ['reportingController: Required value'] : []),
    ...(QUALIFIED.test(controller)
      ? []
      : [`reportingController: Invalid value: "${controller}": not a qualified name`]),
    ...(['reportingInstance', 'action', 'reason'] as const)
      .filter((field) => !isSet(event[field]))
      .map((field) => `${field}: Required value`),
    ...Object.entries(LONGEST)
      .filter(([field, bytes]) => Buffer.byteLength(text(event[field])) > bytes)
      .map(([field, bytes]) => `${field}: Invalid value: "": can have at most ${bytes} characters`),
  ]
}

function series(event: KubernetesObject): string[] {
  const { count, lastObservedTime } = (event['series'] ?? {}) as { count?: number; lastObservedTime?: string }
  if (!isSet(event['series'])) return []
  return [
    ...((count ?? 0) < 2 ? ['series.count: Invalid value: "": should be at least 2'] : []),
    ...(isSet(lastObservedTime) ? [] : ['series.lastObservedTime: Required value']),
  ]
}

const noName = (field: string, value: string): string[] => [
  `${field}: Invalid value: ${JSON.stringify(value)}: a lowercase RFC 1123 subdomain is wanted`,
]

/** Times of an Event carry exactly six digits of a second: the API server's JSON reader takes no others (`MicroTime`). */
const MICRO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/

function readable(event: KubernetesObject): void {
  for (const time of [event['eventTime'], at(event, 'series', 'lastObservedTime')]) {
    if (!isSet(time) || (typeof time === 'string' && MICRO_TIME.test(time))) continue
    throw badRequest(
      `Event in version "v1" cannot be handled as a Event: parsing time ${JSON.stringify(time)}`,
    )
  }
}

function refuse({ metadata }: KubernetesObject, errors: readonly string[]): void {
  if (errors.length === 0) return
  const why = errors.length === 1 ? errors[0] : `[${errors.join(', ')}]`
  throw new ApiStatusError(422, 'Invalid', `Event ${JSON.stringify(metadata.name)} is invalid: ${why}`)
}
