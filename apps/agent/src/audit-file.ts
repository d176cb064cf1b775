import { createWriteStream } from 'node:fs'
import type { AuditSink, Log } from '@kube2iam-ts/agent-runtime'

/** Adds a line of JSON for each record. A disk that is full costs records and a line in the log, and no request. */
export function createAuditFile(path: string | undefined, log: Log): AuditSink {
  if (path === undefined) return () => {}
  const file = createWriteStream(path, { flags: 'a', mode: 0o600 })
  let broken = false
  file.on('error', (error) => {
    if (!broken) log.write('error', 'the audit log cannot be written', { path, reason: error.message })
    broken = true
  })
  return (record) => {
    if (!broken) file.write(`${JSON.stringify(record)}\n`)
  }
}
