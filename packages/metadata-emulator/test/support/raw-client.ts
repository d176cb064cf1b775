import { connect, type Socket } from 'node:net'

/** One answer as it was on the wire. */
export interface RawAnswer {
  readonly status: number
  readonly version: string
  /** In the order of the wire, names as they were sent. */
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Buffer
  /** The first of that name, in any case. */
  header(name: string): string | undefined
}

export interface RawOptions {
  readonly port: number
  readonly host?: string
  /** The address to send from: on Linux any of 127/8 is one's own. */
  readonly from?: string
  /** Ends the wait; what has arrived by then is what is returned. */
  readonly timeoutMs?: number
}

/** Sends bytes and collects everything until the other side closes. */
export async function exchange(bytes: string | Buffer, options: RawOptions): Promise<Buffer> {
  const socket = await dial(options)
  const collected = collect(socket, options.timeoutMs ?? 5000)
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  return await collected
}

/** A connection from a pod's address. */
export function dial({ port, host = '127.0.0.1', from }: RawOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host, ...(from === undefined ? {} : { localAddress: from }) })
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Everything that arrives until the other side closes. */
export function collect(socket: Socket, timeoutMs = 5000): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const timer = setTimeout(() => socket.destroy(), timeoutMs)
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', () => {})
    socket.once('close', () => {
      clearTimeout(timer)
      resolve(Buffer.concat(chunks))
    })
  })
}

/** Splits what arrived into answers; interim ones (1xx) are answers without a body. */
export function parseAnswers(bytes: Buffer, toHead = false): RawAnswer[] {
  const answers: RawAnswer[] = []
  let rest = bytes
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n')
    if (end === -1) throw new Error(`an answer without an end of headers: ${rest.toString('latin1')}`)
    const [line = '', ...lines] = rest.subarray(0, end).toString('latin1').split('\r\n')
    const match = /^HTTP\/(\d\.\d) (\d{3}) /.exec(line)
    if (match === null) throw new Error(`not a status line: ${line}`)
    const headers = lines.map((one) => {
      const colon = one.indexOf(': ')
      return [one.slice(0, colon), one.slice(colon + 2)] as const
    })
    const header = (name: string) => headers.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1]
    const status = Number(match[2])
    const length = status < 200 || toHead ? 0 : Number(header('content-length') ?? Number.NaN)
    if (Number.isNaN(length)) throw new Error('an answer without Content-Length')
    const from = end + 4
    if (rest.length < from + length) throw new Error('an answer shorter than its Content-Length')
    answers.push({
      status,
      version: match[1] ?? '',
      headers,
      header,
      body: rest.subarray(from, from + length),
    })
    rest = rest.subarray(from + length)
  }
  return answers
}
