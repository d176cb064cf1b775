import type { RefusalCode } from './credential-service.ts'

/** Why a request got what it got: the label of metrics and the field of logs. A closed set. */
export type Outcome =
  | 'ok'
  | RefusalCode
  | 'token-missing'
  | 'token-invalid'
  | 'token-mismatch'
  | 'ttl-invalid'
  | 'forwarded-for'
  | 'host-invalid'
  | 'caller-unknown'
  | 'method'
  | 'malformed'
  | 'not-served'
  | 'not-found'
  | 'target-too-long'
  | 'rate-limited'
  | 'upstream-unavailable'
  | 'bug'

/** How the metadata service's own clients are told. Bodies are empty: the CRT takes any text for a role name. */
export const METADATA_STATUS: Readonly<Record<RefusalCode, number>> = {
  // Clients give up on 404 and remember "no role"; all of these may be different in a second.
  'pod-unknown': 503,
  'pod-ambiguous': 503,
  'pod-in-doubt': 503,
  'not-ready': 503,
  'sts-unavailable': 503,
  overloaded: 503,
  'no-role': 404,
  'host-network': 404,
  'role-mismatch': 404,
  'namespace-denied': 404,
  'annotation-invalid': 404,
  // Where the settings prefer it to the document with a `Code` of row 69.
  'sts-denied': 403,
}

/** What a container-credentials client is told: SDKs show `code` and `message`, and retry 5xx only. */
export interface ContainerFault {
  readonly status: number
  readonly code: string
  readonly message: string
}

export type ContainerFaultName =
  | RefusalCode
  | 'token-missing'
  | 'token-invalid'
  | 'token-mismatch'
  | 'host-invalid'
  | 'not-found'
  | 'method'
  | 'rate-limited'
  | 'target-too-long'
  | 'bug'

const unavailable = (message: string): ContainerFault => ({
  status: 503,
  code: 'ServiceUnavailableException',
  message,
})
const absent = (message: string): ContainerFault => ({
  status: 404,
  code: 'ResourceNotFoundException',
  message,
})
const refused = (message: string): ContainerFault => ({ status: 403, code: 'AccessDeniedException', message })

export const CONTAINER_FAULTS: Readonly<Record<ContainerFaultName, ContainerFault>> = {
  'pod-unknown': unavailable('the pod is not known yet'),
  'pod-ambiguous': unavailable('the address is claimed by more than one pod'),
  'pod-in-doubt': unavailable('the address may be another pod’s by now'),
  'not-ready': unavailable('the agent is not ready'),
  'sts-unavailable': unavailable('no session can be had just now'),
  overloaded: unavailable('too many requests wait'),
  'no-role': absent('the pod has no role'),
  'host-network': absent('the address is the node’s'),
  'role-mismatch': absent('the pod has no such role'),
  'annotation-invalid': absent('the pod has no valid role'),
  'namespace-denied': refused('the namespace does not allow the role'),
  'sts-denied': refused('the role cannot be assumed'),
  'token-missing': {
    status: 401,
    code: 'MissingTokenException',
    message: 'the Authorization header is missing',
  },
  'token-invalid': {
    status: 401,
    code: 'InvalidTokenException',
    message: 'the token in the Authorization header is not valid',
  },
  'token-mismatch': refused('the token belongs to another pod'),
  'host-invalid': refused('called through an invalid address'),
  'not-found': absent('no such path'),
  method: { status: 405, code: 'MethodNotAllowedException', message: 'only GET and HEAD are allowed' },
  'rate-limited': { status: 429, code: 'TooManyRequestsException', message: 'too many requests' },
  'target-too-long': { status: 414, code: 'UriTooLongException', message: 'the request target is too long' },
  bug: { status: 500, code: 'InternalServerException', message: 'internal error' },
}
