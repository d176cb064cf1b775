import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
// The fake STS makes sessions that carry their own proof; whoever has its sealing key can check them, as S3 does
// with what STS issued.
import { createSessions } from '../../../packages/credential-broker/src/lib/fake-sts/sessions.ts'
import type { S3Call } from './protocol.ts'

/** A tiny S3: it checks SigV4, says who signed, and has one bucket with one object. */
export interface S3 {
  listen(host: string): Promise<{ url: string }>
  readonly calls: S3Call[]
}

export const S3_BUCKET = 'e2e-bucket'
export const S3_OBJECT = 'hello.txt'
const TEXT = 'hello\n'

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)\/(\d{8})\/([a-z0-9-]+)\/s3\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/

export interface S3Options {
  /** What the fake STS seals its sessions with. */
  readonly sealKey: string
  /** A session that STS did not issue: the instance's own. */
  readonly node: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly arn: string }
}

export function createS3({ sealKey, node }: S3Options): S3 {
  const sessions = createSessions({ key: sealKey, random: Math.random })
  const calls: S3Call[] = []

  function ownerOf(accessKeyId: string, token: string): { secretAccessKey: string; arn: string } | undefined {
    if (accessKeyId === node.accessKeyId) return node
    const opened = sessions.open(accessKeyId, token, Date.now())
    return opened.kind === 'session'
      ? { secretAccessKey: opened.secretAccessKey, arn: opened.caller.arn }
      : undefined
  }

  /** The ARN of whoever signed; undefined when nobody that STS knows has signed this request rightly. */
  function signer(request: IncomingMessage): string | undefined {
    const [, accessKeyId, date, region, names, signature] =
      AUTHORIZATION.exec(request.headers.authorization ?? '') ?? []
    const token = header(request, 'x-amz-security-token')
    if (accessKeyId === undefined || names === undefined || signature === undefined) return undefined
    const owner = ownerOf(accessKeyId, token)
    if (owner === undefined || !names.split(';').includes('x-amz-security-token')) return undefined
    const [path = '/', query = ''] = (request.url ?? '/').split('?', 2)
    const canonical = [
      request.method ?? '',
      path,
      query.split('&').filter(Boolean).map(withEquals).sort().join('&'),
      ...names.split(';').map((name) => `${name}:${header(request, name).trim().replaceAll(/ +/g, ' ')}`),
      '',
      names,
      header(request, 'x-amz-content-sha256'),
    ].join('\n')
    const scope = `${date}/${region}/s3/aws4_request`
    const text = `AWS4-HMAC-SHA256\n${header(request, 'x-amz-date')}\n${scope}\n${sha256(canonical)}`
    const key = scope.split('/').reduce<Buffer>(hmac, Buffer.from(`AWS4${owner.secretAccessKey}`))
    return timingSafeEqual(hmac(key, text), Buffer.from(signature, 'hex')) ? owner.arn : undefined
  }

  function serve(request: IncomingMessage, response: ServerResponse): void {
    request.resume()
    const path = decodeURIComponent((request.url ?? '/').split('?')[0] ?? '/')
    const callerArn = signer(request)
    const answer = callerArn === undefined ? denied() : read(path)
    const status = answer.status
    calls.push({
      method: request.method ?? '',
      path: request.url ?? '',
      userAgent: header(request, 'user-agent'),
      callerArn,
      status,
    })
    response.writeHead(status, { 'Content-Length': Buffer.byteLength(answer.body), ...answer.headers })
    response.end(request.method === 'HEAD' ? undefined : answer.body)
  }

  const server = createServer(serve)
  return {
    calls,
    async listen(host) {
      await new Promise<void>((resolve) => server.listen(0, host, resolve))
      return { url: `http://${host}:${(server.address() as AddressInfo).port}` }
    },
  }
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

function read(path: string): Answer {
  const xml = { 'Content-Type': 'application/xml' }
  const objectHeaders = {
    'Content-Type': 'text/plain',
    ETag: `"${createHash('md5').update(TEXT).digest('hex')}"`,
    'Last-Modified': 'Thu, 01 Jan 2026 00:00:00 GMT',
  }
  if (path === `/${S3_BUCKET}/${S3_OBJECT}`) return { status: 200, body: TEXT, headers: objectHeaders }
  if (path === '/') {
    const bucket = `<Bucket><Name>${S3_BUCKET}</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>`
    const body = document('ListAllMyBucketsResult', `<Owner><ID>e2e</ID></Owner><Buckets>${bucket}</Buckets>`)
    return { status: 200, body, headers: xml }
  }
  if (path === `/${S3_BUCKET}` || path === `/${S3_BUCKET}/`) {
    const object = `<Contents><Key>${S3_OBJECT}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>${objectHeaders.ETag.replaceAll('"', '&quot;')}</ETag><Size>${TEXT.length}</Size><StorageClass>STANDARD</StorageClass></Contents>`
    const list = `<Name>${S3_BUCKET}</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated>${object}`
    return { status: 200, body: document('ListBucketResult', list), headers: xml }
  }
  const missing = '<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>'
  return { status: 404, body: missing, headers: xml }
}

function denied(): Answer {
  const body =
    '<Error><Code>SignatureDoesNotMatch</Code><Message>Nobody known has signed this.</Message></Error>'
  return { status: 403, body, headers: { 'Content-Type': 'application/xml' } }
}

function document(element: string, inner: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?><${element} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</${element}>`
}

function header(request: IncomingMessage, name: string): string {
  const value = request.headers[name]
  return Array.isArray(value) ? value.join(',') : (value ?? '')
}

const withEquals = (pair: string): string => (pair.includes('=') ? pair : `${pair}=`)
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
