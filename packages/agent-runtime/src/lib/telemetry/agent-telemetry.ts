import type { Report } from '@kube2iam-ts/core'
import type { AgentEvent } from '../agent-events.ts'
import { aboutPod } from '../kubernetes/object-events.ts'
import type { LogLevel } from './log.ts'
import type { Output } from './output.ts'

/** The constant message and the level of each event. */
const LINES: Readonly<Record<AgentEvent['kind'], readonly [LogLevel, string]>> = {
  starting: ['info', 'starting'],
  listening: ['info', 'listening'],
  unwise: ['warn', 'setting is unwise'],
  ready: ['info', 'ready'],
  'not-ready': ['warn', 'not ready any more'],
  'interception-failed': ['error', 'requests of pods cannot be redirected'],
  'interception-not-tried': ['warn', 'the redirection could not be tried'],
  'interception-removed': ['warn', 'redirection is removed'],
  'interception-stays': ['info', 'redirection stays in place'],
  'requests-migrate': ['info', 'connections that wait to be accepted pass to the next agent'],
  'requests-do-not-migrate': ['info', 'connections that wait to be accepted may be reset when agents change'],
  'host-network-role': ['warn', 'a host-network pod has a role that its address cannot prove'],
  stopping: ['info', 'stopping'],
  stopped: ['info', 'stopped'],
  'stop-late': ['error', 'something did not stop in time'],
  bug: ['error', 'something failed in a way that it may not'],
  'base-arn-discovered': ['info', 'base ARN is discovered'],
  'default-role-discovered': ['info', 'default role is discovered'],
  'discovery-failed': ['warn', 'the metadata service did not say'],
  'event-dropped': ['debug', 'too many events for the API server'],
  'event-failed': ['debug', 'an event could not be written'],
  'taint-removed': ['info', 'startup taint is removed'],
  'taint-failed': ['warn', 'startup taint could not be removed'],
}

/** The assembly's own events. */
export function createAgentTelemetry({
  log,
  metrics,
  objectEvents,
}: Pick<Output, 'log' | 'metrics' | 'objectEvents'>): Report<AgentEvent> {
  return (event) => {
    const [level, message] = LINES[event.kind]
    if (event.kind === 'host-network-role') {
      objectEvents.record({
        subject: aboutPod(event.pod),
        type: 'Warning',
        action: 'AssumeRole',
        reason: 'HostNetworkHasNoRole',
        message:
          'the pod uses the network of its node, so its address cannot prove who asks; run it without hostNetwork, or let it use the container credentials endpoint',
      })
      return log.write(level, message, { pod: `${event.pod.namespace}/${event.pod.name}` })
    }
    if (event.kind === 'event-dropped') metrics.objectEvents.inc({ outcome: 'dropped' })
    if (event.kind === 'event-failed') metrics.objectEvents.inc({ outcome: 'failed' })
    if (event.kind === 'bug') metrics.bugs.inc()
    const { kind: _kind, ...fields } = event
    log.write(level, message, fields)
  }
}
