import { createWriteStream, openSync, type WriteStream } from 'node:fs'
import type { AuditSink, Log } from '@kube2iam-ts/agent-runtime'
import { type Clock, CodedError, systemClock } from '@kube2iam-ts/core'

const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 60_000
/** What may wait for a slow disk. */
const MOST_WAITING_BYTES = 4 * 1024 * 1024

/**
 * Adds a line of JSON for each record. A disk that is full or slow costs records, which the log counts, and no
 * request; the file is opened again until there is room. Throws `CONFIG_INVALID` where it cannot be opened at first.
 */
export function createAuditFile(path: string | undefined, log: Log, clock: Clock = systemClock): AuditSink {
  if (path === undefined) return () => {}
  let retryMs = FIRST_RETRY_MS
  let lost = 0
  let file: WriteStream | undefined = opened(path)

  function opened(at: string): WriteStream {
    const stream = createWriteStream(at, { fd: openToAdd(at) })
    stream.once('error', failed)
    return stream
  }

  function failed(error: Error): void {
    file = undefined
    log.write('error', 'the audit log cannot be written', { path, lost, reason: error.message })
    clock.after(retryMs, again)
    retryMs = Math.min(LAST_RETRY_MS, retryMs * 2)
  }

  function again(): void {
    try {
      if (path !== undefined) file = opened(path)
    } catch (error) {
      failed(error instanceof Error ? error : new Error(String(error)))
    }
  }

  function written(error: Error | null | undefined): void {
    if (error) {
      lost += 1
      return
    }
    retryMs = FIRST_RETRY_MS
    if (lost === 0) return
    log.write('warn', 'the audit log is written again', { path, lost })
    lost = 0
  }

  return (record) => {
    if (file !== undefined && file.writableLength < MOST_WAITING_BYTES) {
      file.write(`${JSON.stringify(record)}\n`, written)
      return
    }
    if (file !== undefined && lost === 0) {
      log.write('error', 'the audit log cannot be written', { path, reason: 'the disk is too slow' })
    }
    lost += 1
  }
}

function openToAdd(path: string): number {
  try {
    return openSync(path, 'a', 0o600)
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new CodedError(
      'CONFIG_INVALID',
      `--audit-log: ${path} cannot be opened (${reason}): give a file in a directory that exists and can be written`,
      { cause: error },
    )
  }
}
