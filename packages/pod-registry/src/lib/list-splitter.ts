import { CodedError } from '@kube2iam-ts/core'

/** What a Kubernetes list says of itself, without its items. */
export interface ListEnvelope {
  readonly kind?: string
  readonly message?: string
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const COMMA = 0x2c
const SPACE = 0x20

/** What an element of `items` may be at most: etcd refuses objects above 1.5 MiB, and JSON is larger than protobuf. */
const LARGEST_ITEM_BYTES = 16 * 1024 * 1024

/**
 * Cuts a list into its items while it arrives, at the level of bytes: no more than one item's text is held. Returns
 * the rest of the document. Throws a `FEED_LIST_FAILED` for text that is no complete JSON list.
 */
export async function splitList(
  body: AsyncIterable<Uint8Array>,
  onItem: (item: unknown) => void,
): Promise<ListEnvelope> {
  const splitter = createListSplitter(onItem)
  for await (const chunk of body) splitter.write(chunk)
  return splitter.end()
}

export interface ListSplitter {
  write(chunk: Uint8Array): void
  end(): ListEnvelope
}

export function createListSplitter(onItem: (item: unknown) => void): ListSplitter {
  /** Text outside `items`, in pieces. */
  const envelope: Buffer[] = []
  /** The pieces of the item that began in an earlier chunk. */
  let pieces: Buffer[] = []
  let pieceBytes = 0
  let depth = 0
  let inString = false
  let escaped = false
  /** The bytes of the string that is being read at depth 1: perhaps the key `items`. */
  let key: number[] | undefined
  let itemsNext = false
  let inItems = false

  return {
    write(bytes) {
      const chunk = Buffer.isBuffer(bytes)
        ? bytes
        : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      let itemStart = inItems && depth > 2 ? 0 : -1
      let envelopeStart = inItems ? -1 : 0
      for (let index = 0; index < chunk.length; index += 1) {
        const byte = chunk[index] as number
        if (inString) {
          if (escaped) escaped = false
          else if (byte === BACKSLASH) escaped = true
          else if (byte === QUOTE) {
            inString = false
            if (key !== undefined) itemsNext = Buffer.from(key).toString() === 'items'
            key = undefined
            continue
          }
          if (key !== undefined && key.length < 8) key.push(byte)
          continue
        }
        switch (byte) {
          case QUOTE:
            inString = true
            if (depth === 1) key = []
            break
          case OPEN_BRACE:
            depth += 1
            if (inItems && depth === 3) itemStart = index
            break
          case OPEN_BRACKET:
            depth += 1
            if (depth === 2 && itemsNext) {
              inItems = true
              envelope.push(Buffer.from(chunk.subarray(envelopeStart, index + 1)))
              envelopeStart = -1
            }
            break
          case CLOSE_BRACE:
            depth -= 1
            if (inItems && depth === 2) {
              finish(chunk.subarray(itemStart, index + 1))
              itemStart = -1
            }
            break
          case CLOSE_BRACKET:
            depth -= 1
            if (inItems && depth === 1) {
              inItems = false
              envelopeStart = index
            }
            break
          case COMMA:
            if (depth === 1) itemsNext = false
            break
          default:
            // Whatever else stands between items is no list of objects.
            if (inItems && depth === 2 && byte > SPACE) throw broken('an item is not an object')
        }
      }
      if (itemStart !== -1) {
        const rest = chunk.subarray(itemStart)
        pieceBytes += rest.length
        if (pieceBytes > LARGEST_ITEM_BYTES) throw broken('an item is larger than any Kubernetes object')
        pieces.push(Buffer.from(rest))
      } else if (envelopeStart !== -1) envelope.push(Buffer.from(chunk.subarray(envelopeStart)))
    },
    end() {
      if (depth !== 0 || inString || envelope.length === 0) throw broken('the list ended in the middle')
      return parse(Buffer.concat(envelope)) as ListEnvelope
    },
  }

  function finish(last: Buffer): void {
    const whole = pieces.length === 0 ? last : Buffer.concat([...pieces, last])
    pieces = []
    pieceBytes = 0
    onItem(parse(whole))
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw broken('it is not JSON', cause)
  }
}

const broken = (why: string, cause?: unknown): CodedError<'FEED_LIST_FAILED'> =>
  new CodedError('FEED_LIST_FAILED', `the API server's list could not be read: ${why}`, {
    retryable: true,
    cause,
  })
