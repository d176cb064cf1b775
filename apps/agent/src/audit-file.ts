import { createWriteStream, openSync, type WriteStream } from 'node:fs'
import type { AuditRecord, AuditSink, Log } from '@kube2iam-ts/agent-runtime'
import { type Clock, CodedError, systemClock } from '@kube2iam-ts/core'

const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 60_000
/** What may wait for a slow disk. */
const MOST_WAITING_BYTES = 4 * 1024 * 1024

export interface AuditFile {
  readonly write: AuditSink
  /** Records that were not written, since the start. */
  lost(): number
}

/**
 * Adds a line of JSON for each record. A disk that is full or slow costs records, which the log and a metric count, and no
 * request; the file is opened again until there is room. Throws `CONFIG_INVALID` where it cannot be opened at first.
 */
export function createAuditFile(path: string, log: Log, clock: Clock = systemClock): AuditFile {
  let retryMs = FIRST_RETRY_MS
  /** Since records were last written, and in all. */
  let lost = 0
  let everLost = 0
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
      file = opened(path)
    } catch (error) {
      failed(error instanceof Error ? error : new Error(String(error)))
    }
  }

  function written(error: Error | null | undefined): void {
    if (error) return lose()
    retryMs = FIRST_RETRY_MS
    if (lost === 0) return
    log.write('warn', 'the audit log is written again', { path, lost })
    lost = 0
  }

  function lose(): void {
    lost += 1
    everLost += 1
  }

  function write(record: AuditRecord): void {
    if (file !== undefined && file.writableLength < MOST_WAITING_BYTES) {
      file.write(`${JSON.stringify(record)}\n`, written)
      return
    }
    if (file !== undefined && lost === 0) {
      log.write('error', 'the audit log cannot be written', { path, reason: 'the disk is too slow' })
    }
    lose()
  }

  return { write, lost: () => everLost }
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
