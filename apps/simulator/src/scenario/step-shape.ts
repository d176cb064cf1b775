import { DNS_LABEL } from '../cluster/kinds.ts'
import { ipText, namespaceShape, POD_KEY, podKey, podShape } from './cluster-shape.ts'
import { object, optional, required, variant } from './object-shape.ts'
import type { Shape } from './shape.ts'
import {
  anything,
  duration,
  flag,
  list,
  located,
  looseText,
  map,
  number,
  oneOf,
  record,
  scalar,
  text,
  whole,
} from './shape.ts'

/** The least and the most that a counter may be: `3`, `"<=3"`, `">=1"`. */
export interface Bound {
  readonly least: number
  readonly most: number
  readonly text: string
}

const bound: Shape<Bound> = scalar<Bound>({
  expected: 'a number, or a bound such as "<=3" or ">=1"',
  schema: { type: ['integer', 'string'] },
  parse: (value) => {
    const match = /^(<=|>=|<|>|=)?\s*(\d+)$/.exec(String(value))
    if (match === null) return undefined
    const count = Number(match[2])
    const operator = match[1] ?? '='
    const least = operator === '>=' ? count : operator === '>' ? count + 1 : operator === '=' ? count : 0
    const most =
      operator === '<='
        ? count
        : operator === '<'
          ? count - 1
          : operator === '='
            ? count
            : Number.MAX_SAFE_INTEGER
    return { value: { least, most, text: operator === '=' ? String(count) : `${operator}${count}` } }
  },
})

/** Why a pod gets no credentials: the codes of the policy, and those of what stands between pod and STS. */
const DENIALS = [
  'no-role',
  'host-network',
  'annotation-empty',
  'annotation-invalid',
  'base-arn-missing',
  'role-mismatch',
  'namespace-annotation-invalid',
  'namespace-denied',
  'rule-denied',
  'external-id-invalid',
  'external-id-required',
  'session-invalid',
  'pod-unknown',
  'pod-ambiguous',
  'pod-in-doubt',
  'not-ready',
  'sts-denied',
  'sts-unavailable',
  'overloaded',
  'unreachable',
] as const

const requestShape = object(
  {
    pod: required(located(podKey), 'Who asks.'),
    ask: optional(
      oneOf('credentials', 'list', 'document', 'path', 'container'),
      'credentials: as an SDK does (token, list, document), the default; list or document: that one request; path: any path; container: the container-credentials protocol.',
    ),
    role: optional(looseText, 'The role whose document is asked for; the pod’s own unless told.'),
    path: optional(text('a path that begins with /', /^\//), 'The path, with ask: path.'),
    imds: optional(oneOf('v2', 'v1'), 'v2 (with a token) unless told.'),
    method: optional(oneOf('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS'), 'GET unless told.'),
    headers: optional(record(looseText), 'Further request headers.'),
    from: optional(ipText, 'Another source address than the pod’s own.'),
    concurrent: optional(
      whole(1, 1000),
      'How many requests are sent at once; each must get what is expected.',
    ),
    background: optional(flag, 'Do not wait for the answer: it is judged when it comes.'),
  },
  { expected: 'a request (pod, ask, role, …)' },
)

const expectationShape = object(
  {
    role: optional(looseText, 'The credentials are this role’s (name, path/name or ARN).'),
    denied: optional(oneOf(...DENIALS), 'No credentials, for this reason.'),
    status: optional(whole(100, 599), 'The HTTP status of the last answer.'),
    body: optional(looseText, 'The body contains this.'),
    sessionName: optional(looseText, 'RoleSessionName of the session.'),
    tags: optional(record(looseText), 'Session tags that are there with these values.'),
    externalId: optional(looseText, 'The external ID that STS was given.'),
    minLife: optional(duration(), 'The credentials live at least this long from now.'),
    within: optional(duration(), 'The answer comes within this time.'),
    same: optional(flag, 'Exactly the credentials that the pod got last time (true), or others (false).'),
    from: optional(oneOf('agent', 'node'), 'Who answers: the agent, or the node’s own metadata service.'),
  },
  { expected: 'what is expected (role, denied, status, …)' },
)

const faultShape = object(
  {
    sts: optional(
      oneOf('throttled', 'down', 'slow', 'hang', 'rubbish', 'region-disabled'),
      'STS answers Throttling, refuses connections, takes seconds, never answers, answers rubbish, or is switched off (say the region).',
    ),
    apiserver: optional(
      oneOf('down', 'watch-dropped', 'watch-stalled', 'expired', 'throttled', 'forbidden'),
      'The Kubernetes API server: down, one watch cut, silent watch, 410 Gone, 429, or 403.',
    ),
    imds: optional(oneOf('down', 'slow'), 'The node’s own metadata service.'),
    region: optional(text('a region'), 'Only the STS endpoint of this region has the fault.'),
    rate: optional(number(0, 1), 'The share of calls that have the fault; 1 unless told.'),
    latency: optional(duration(0, 120_000), 'With slow: how long a call takes.'),
    for: optional(duration(), 'How long; left out: until `clear`.'),
  },
  { expected: 'a fault (sts, apiserver or imds; for)', anyOf: ['sts', 'apiserver', 'imds'] },
)

const applyShape = object(
  {
    pods: optional(
      record(podShape, { key: POD_KEY, keyExpected: 'namespace/name' }),
      'Pods created or changed.',
    ),
    namespaces: optional(
      record(namespaceShape, { key: DNS_LABEL, keyExpected: 'the name of a namespace' }),
      'Namespaces created or changed.',
    ),
    manifest: optional(anything, 'A Kubernetes object.'),
  },
  { expected: 'what to apply (pods, namespaces, manifest)', anyOf: ['pods', 'namespaces', 'manifest'] },
)

const checkShape = object(
  {
    'sts-calls': optional(bound, 'AssumeRole calls so far.'),
    'sts-calls-since-last': optional(bound, 'AssumeRole calls since the last check.'),
    ready: optional(flag, 'Whether the agent says it is ready.'),
    live: optional(flag, 'Whether the agent says it is alive.'),
    rule: optional(oneOf('present', 'absent'), 'Whether the redirection is in place.'),
    'upstream-requests': optional(bound, 'Requests that the node’s own metadata service got from pods.'),
    sessions: optional(
      bound,
      'Sessions that the agent holds; with several nodes, those of all of them together.',
    ),
    taint: optional(oneOf('present', 'absent'), 'Whether the node carries the startup taint.'),
  },
  { expected: 'what to check (sts-calls, ready, rule, …)' },
)

export const stepShape = variant(
  {
    request: { shape: requestShape, doc: 'A pod asks.', required: false },
    answered: {
      shape: object({ pod: required(located(podKey), 'Whose background request.') }),
      doc: 'Waits for a background request of the pod and judges it here.',
      required: false,
    },
    advance: { shape: duration(1), doc: 'Time passes.', required: false },
    apply: { shape: applyShape, doc: 'The cluster changes.', required: false },
    delete: {
      shape: map(
        object({ pods: required(list(located(podKey), { lone: true }), 'Pods that are deleted.') }),
        ({ pods }) => pods,
      ),
      doc: 'Pods are deleted.',
      required: false,
    },
    terminate: {
      shape: located(podKey),
      doc: 'The pod gets a deletionTimestamp and goes on running.',
      required: false,
    },
    fault: { shape: faultShape, doc: 'Something breaks.', required: false },
    clear: { shape: oneOf('all', 'sts', 'apiserver', 'imds'), doc: 'Faults end.', required: false },
    agent: {
      shape: oneOf('kill', 'stop', 'start', 'restart', 'roll'),
      doc: 'kill: dies at once; stop: SIGTERM; start; restart: stop and start; roll: the new one starts before the old one ends, as in a roll-out.',
      required: false,
    },
    rule: {
      shape: oneOf('flush', 'flush-all'),
      doc: 'flush: somebody empties the nat table; flush-all: every table of the node.',
      required: false,
    },
    clock: {
      shape: object({ skew: required(signedDuration(), 'By how much the node’s clock jumps.') }),
      doc: 'The node’s clock jumps.',
      required: false,
    },
    check: { shape: checkShape, doc: 'Looks at the agent and at what it did.', required: false },
    repeat: {
      shape: object({
        times: required(whole(1, 10_000), 'How often.'),
        every: optional(duration(1), 'Time between.'),
        request: required(requestShape, 'The request that is repeated; each answer is judged by `expect`.'),
      }),
      doc: 'A request, again and again.',
      required: false,
    },
  },
  {
    name: { shape: text(), doc: 'What this step shows.', required: false },
    expect: { shape: expectationShape, doc: 'What the request gets.', required: false },
    node: {
      shape: text('the name of a node'),
      doc: 'The node whose agent is meant; all unless told.',
      required: false,
    },
  },
  'step',
)

function signedDuration(): Shape<number> {
  const plain = duration(1, 86_400_000 * 2)
  return {
    expected: 'a duration such as 5m or -5m',
    schema: { type: 'string', pattern: '^-?(\\d+(\\.\\d+)?(ms|s|m|h|d))+$' },
    read(source, path, reading) {
      const negative =
        source.kind === 'scalar' && typeof source.value === 'string' && source.value.startsWith('-')
      const value = plain.read(
        negative ? { ...source, kind: 'scalar', value: source.value.slice(1) } : source,
        path,
        reading,
      )
      return value === undefined ? undefined : negative ? -value : value
    },
  }
}

export const invariantsShape = object({
  'no-foreign-identity': optional(
    flag,
    'No pod ever holds credentials of a role that is not its own. On unless set to false; reports then say “not checked”.',
  ),
  'no-node-role': optional(
    flag,
    'No pod ever sees the node’s credentials. On unless set to false; reports then say “not checked”.',
  ),
  'min-life': optional(duration(), 'Every document that is served lives at least this long.'),
  'max-sts-calls': optional(whole(0, 10_000_000), 'AssumeRole calls in the whole run.'),
  'max-sts-rate': optional(number(0, 100_000), 'AssumeRole calls in any one second.'),
})
