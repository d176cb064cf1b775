import type { Clock, Report } from '@kube2iam-ts/core'
import type { BrokerEvent, SessionOwner } from '@kube2iam-ts/credential-broker'
import type { AuditRecord } from './audit.ts'
import type { Output } from './output.ts'

/** The broker's events as lines, metrics, audit records and events on the pods. */
export function createBrokerTelemetry(
  { log, metrics, audit, objectEvents }: Output,
  { clock, clusterName }: { readonly clock: Clock; readonly clusterName: string | undefined },
): Report<BrokerEvent> {
  const record = (
    owners: readonly SessionOwner[],
    what: Omit<AuditRecord, 'time' | 'pod' | 'uid' | 'serviceAccount' | 'cluster'>,
  ): void => {
    for (const { namespace, name, uid, serviceAccount } of owners) {
      audit({
        time: new Date(clock.now()).toISOString(),
        ...what,
        pod: `${namespace}/${name}`,
        uid,
        serviceAccount,
        ...(clusterName === undefined ? {} : { cluster: clusterName }),
      })
    }
  }
  const tellOwners = (owners: readonly SessionOwner[], reason: string, message: string): void => {
    for (const { namespace, name, uid } of owners) {
      objectEvents.record({
        subject: { kind: 'Pod', namespace, name, uid },
        type: 'Warning',
        action: 'AssumeRole',
        reason,
        message,
      })
    }
  }

  return (event) => {
    switch (event.kind) {
      case 'session-issued': {
        const { owners, role, sessionName, renewal, reason, accessKeyId, expiration, durationMs } = event
        metrics.stsCalls.inc({ outcome: 'issued', reason, renewal: String(renewal) })
        metrics.stsSeconds.observe({ code: 'Success' }, durationMs / 1_000)
        log.write('info', renewal ? 'session renewed' : 'session issued', {
          pods: podsOf(owners),
          role,
          sessionName,
          reason,
          accessKeyId,
          expiration: expiration.toISOString(),
          durationMs: Math.round(durationMs),
        })
        return record(owners, {
          action: renewal ? 'renewed' : 'issued',
          role,
          sessionName,
          assumedRoleArn: event.assumedRoleArn,
          accessKeyId,
          expiration: expiration.toISOString(),
          reason,
        })
      }
      case 'session-shared': {
        const { owners, role, sessionName, assumedRoleArn, accessKeyId } = event
        const expiration = event.expiration.toISOString()
        const what = { role, sessionName, accessKeyId, expiration }
        log.write('info', 'session shared', { pods: podsOf(owners), ...what })
        return record(owners, { action: 'issued', ...what, assumedRoleArn, reason: 'shared' })
      }
      case 'session-denied': {
        const { owners, role, sessionName, renewal, reason, code, message, retryInMs } = event
        metrics.stsCalls.inc({ outcome: code, reason, renewal: String(renewal) })
        log.write('warn', 'STS refuses a session', {
          pods: podsOf(owners),
          role,
          sessionName,
          code,
          message,
          retryInMs,
        })
        tellOwners(owners, 'AssumeRoleDenied', `STS refuses role ${role}: ${message}`)
        return record(owners, { action: 'sts-denied', role, sessionName, reason: `${code}: ${message}` })
      }
      case 'session-failed': {
        const { owners, role, sessionName, renewal, reason, code, message, retryInMs } = event
        metrics.stsCalls.inc({ outcome: code, reason, renewal: String(renewal) })
        return log.write('warn', 'no session can be had now', {
          pods: podsOf(owners),
          role,
          sessionName,
          code,
          message,
          retryInMs,
        })
      }
      case 'session-dropped': {
        const { owners, role, sessionName, reason, accessKeyId } = event
        metrics.sessionsDropped.inc({ reason })
        return log.write(reason === 'expired' ? 'warn' : 'debug', 'session dropped', {
          pods: podsOf(owners),
          role,
          sessionName,
          reason,
          accessKeyId,
        })
      }
      case 'circuit-changed': {
        const { endpoint, state } = event
        metrics.circuitOpen.set(state === 'open' ? 1 : state === 'half-open' ? 0.5 : 0)
        return log.write(state === 'open' ? 'warn' : 'info', 'circuit to STS changed', { endpoint, state })
      }
      case 'clock-skewed':
        metrics.clockSkew.set(event.skewMs / 1_000)
        return log.write('warn', "the node's clock differs from that of STS", { skewMs: event.skewMs })
      default:
        return event satisfies never
    }
  }
}

const podsOf = (owners: readonly SessionOwner[]): readonly string[] =>
  owners.map(({ namespace, name }) => `${namespace}/${name}`)
