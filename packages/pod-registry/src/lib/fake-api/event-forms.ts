import type { KubernetesObject, Manifest } from './objects.ts'

/** An Event as its newer group shows it: `regarding` and `note` for `involvedObject` and `message`. */
export function dressed(object: KubernetesObject, group: string): KubernetesObject {
  if (group !== 'events.k8s.io') return object
  const {
    involvedObject,
    message,
    reportingComponent,
    source,
    firstTimestamp,
    lastTimestamp,
    count,
    ...rest
  } = object
  return {
    ...rest,
    apiVersion: 'events.k8s.io/v1',
    regarding: involvedObject,
    note: message,
    reportingController: reportingComponent,
    deprecatedSource: source,
    deprecatedFirstTimestamp: firstTimestamp,
    deprecatedLastTimestamp: lastTimestamp,
    deprecatedCount: count,
  }
}

/** The same the other way: what is stored is the older form. */
export function undressed<Body extends Manifest>(body: Body): Body {
  if (body.apiVersion !== 'events.k8s.io/v1') return body
  const {
    regarding,
    note,
    reportingController,
    deprecatedSource,
    deprecatedFirstTimestamp,
    deprecatedLastTimestamp,
    deprecatedCount,
    ...rest
  } = body as Manifest
  return {
    ...rest,
    apiVersion: 'v1',
    involvedObject: regarding,
    message: note,
    reportingComponent: reportingController,
    ...(deprecatedSource === undefined ? {} : { source: deprecatedSource }),
    ...(deprecatedFirstTimestamp === undefined ? {} : { firstTimestamp: deprecatedFirstTimestamp }),
    ...(deprecatedLastTimestamp === undefined ? {} : { lastTimestamp: deprecatedLastTimestamp }),
    ...(deprecatedCount === undefined ? {} : { count: deprecatedCount }),
  } as Manifest as Body
}
