import { CodedError } from '@kube2iam-ts/core'

const NEWLINE = 0x0a
const LONGEST_LINE_BYTES = 16 * 1024 * 1024

/** The lines of a watch as they arrive, each parsed. Throws `FEED_WATCH_FAILED` for what is no JSON. */
export async function* watchLines(body: AsyncIterable<Uint8Array>): AsyncGenerator {
  let pieces: Uint8Array[] = []
  let held = 0
  for await (const chunk of body) {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const line = Buffer.concat([...pieces, chunk.subarray(start, end)])
      pieces = []
      held = 0
      start = end + 1
      if (line.length > 0) yield parse(line)
    }
    if (start === chunk.length) continue
    pieces.push(Buffer.from(chunk.subarray(start)))
    held += chunk.length - start
    if (held > LONGEST_LINE_BYTES) throw broken('an event is larger than any Kubernetes object')
  }
}

function parse(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString('utf8'))
  } catch (cause) {
    throw broken('an event is not JSON', cause)
  }
}

const broken = (why: string, cause?: unknown): CodedError<'FEED_WATCH_FAILED'> =>
  new CodedError('FEED_WATCH_FAILED', `the watch could not be read: ${why}`, { retryable: true, cause })
