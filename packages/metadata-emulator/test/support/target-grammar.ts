import type { Random } from '@kube2iam-ts/core'

/** One attack: bytes for a socket. */
export interface Attack {
  readonly bytes: Buffer
  /** The request target alone, as it stands in the bytes. */
  readonly target: string
}

const SECRETS = [
  'meta-data/iam/security-credentials/canary-node-role',
  'meta-data/iam/security-credentials-extended/canary-node-role',
  'meta-data/iam/security-credentials/',
  'meta-data/iam/security-credentials-extended/',
  'meta-data/iam/info',
  'meta-data/identity-credentials/ec2/security-credentials/ec2-instance',
  'meta-data/identity-credentials/ec2/info',
  'meta-data/managed-ssh-keys/signer-cert',
  'meta-data/public-keys/0/openssh-key',
  'user-data',
  'dynamic/instance-identity/document',
  'dynamic/instance-identity/pkcs7',
  'dynamic/instance-identity/signature',
  'api/token',
]
const HARMLESS = [
  'meta-data/placement/region',
  'meta-data/spot/instance-action',
  'meta-data/',
  'meta-data/tags/instance/Name',
]
const VERSIONS = [
  'latest',
  '1.0',
  '2009-04-04',
  '2021-03-23',
  'LATEST',
  'Latest',
  '9999-99-99',
  '1',
  '',
  'latest;v=1',
  'x',
]
const SEPARATORS = [
  '//',
  '///',
  '/./',
  '/.//',
  '/x/../',
  '/../',
  '/%2e/',
  '/%2e%2e/',
  '/.%2e/',
  '/%252e%252e/',
  '/..;/',
  '/;/',
  ';a=b/',
  '%2f',
  '%2F',
  '%252f',
  '%25%32%66',
  '%c0%af',
  '%e0%80%af',
  '%u002f',
  '\\',
  '%5c',
  '%5C',
  '/%00/',
  '/%20/',
  '/%09/',
  '\xe2\x88\x95',
  '\xef\xbc\x8f',
  '\xc0\xaf',
  '/\x85',
  '/\xa0',
  '?/',
  '#/',
  '/?',
]
const SUFFIXES = [
  '/',
  '//',
  '/.',
  '/..',
  '?',
  '?x=y',
  '?/../user-data',
  '#',
  '#x',
  ';',
  ';jsessionid=1',
  '%00',
  '%00.txt',
  '%0a',
  '%0d%0aX: y',
  '%20',
  '+',
  '.',
  '..',
  '.json',
  '~',
  '\t',
  '\x00',
  '\x7f',
  '\xff',
  '*',
  '%',
  '%2',
  '%zz',
  '&a',
  ':80',
  '@x',
]
const PREFIXES = [
  'http://169.254.169.254',
  'http://evil',
  'HTTP://A',
  'https://169.254.169.254',
  'http:',
  'http:/',
  'http:///',
  '//evil',
  '/http://169.254.169.254',
  'http://a@b',
  'http://a:b@c',
  'http://[::1]',
  'http://[fd00:ec2::254]:80',
  'http://x?',
  'http://x#',
  'ftp://x',
  'file://',
  '*',
  'evil:80',
  '\\\\evil',
  '/\\evil',
  '.',
  '..',
  '%2f',
  '?',
  '#',
]
const METHODS = [
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'TRACE',
  'CONNECT',
  'PROPFIND',
  'get',
  'Get',
  'GETX',
  'PRI',
  'SEARCH',
  'LOCK',
]
const HEADERS = [
  'X-Original-URL: @',
  'X-Rewrite-URL: @',
  'X-Forwarded-Path: @',
  'X-HTTP-Method-Override: PUT',
  'X-Forwarded-For: 127.0.0.1',
  'X-Forwarded-For: 169.254.169.254',
  'X-Real-IP: 127.44.0.8',
  'Forwarded: for=127.44.0.8',
  'Via: 1.1 x',
  'Range: bytes=0-',
  'Accept-Encoding: gzip',
  'Connection: keep-alive',
  'Connection: X-aws-ec2-metadata-token',
  'Upgrade: h2c',
  'Upgrade: websocket',
  'TE: trailers',
  'Expect: 100-continue',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: identity',
  'Content-Length: 0',
  'Content-Length: 10',
  'Content-Length: +4',
  'Content-Length: 4, 4',
  'X-aws-ec2-metadata-token: INVALID',
  'X-aws-ec2-metadata-token-ttl-seconds: 60',
  'X-Fold: a\r\n b: c',
  'X-Lf: a\nHost: b',
  'Host: evil',
  'Host: 127.0.0.1@evil',
  ' X-Space: a',
  'X-Nul: \x00',
]

/** Draws one attack: mostly a secret path bent a few times, sometimes a harmless one or plain noise. */
export function drawAttack(random: Random): Attack {
  const target = drawTarget(random)
  const method = random() < 0.85 ? 'GET' : pick(random, METHODS)
  const version =
    random() < 0.96
      ? 'HTTP/1.1'
      : pick(random, ['HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9', 'http/1.1', ''])
  const headers = ['Host: 169.254.169.254']
  while (random() < 0.12) headers.push(pick(random, HEADERS).replace('@', `/latest/${pick(random, SECRETS)}`))
  if (random() < 0.02) headers.shift()
  const lineEnd = random() < 0.99 ? '\r\n' : pick(random, ['\n', '\r', '\n\r', '\r\r\n'])
  const space = random() < 0.99 ? ' ' : pick(random, ['  ', '\t', '\x0b', '\x0c', ''])
  const body = random() < 0.08 ? drawBody(random) : ''
  const text = `${method}${space}${target}${space}${version}${lineEnd}${headers.join(lineEnd)}${lineEnd}${lineEnd}${body}`
  return { bytes: Buffer.from(text, 'latin1'), target }
}

function drawTarget(random: Random): string {
  if (random() < 0.03) return noise(random)
  const base = random() < 0.75 ? pick(random, SECRETS) : pick(random, HARMLESS)
  let path = `/${random() < 0.8 ? 'latest' : pick(random, VERSIONS)}/${base}`
  if (random() < 0.2)
    path = `/latest/${pick(random, HARMLESS)}${pick(random, SEPARATORS)}..${'/..'.repeat(draw(random, 4))}${path}`
  for (let more = 0.9; random() < more; more /= 2) path = bend(random, path)
  const prefix = random() < 0.75 ? '' : pick(random, PREFIXES)
  return prefix + path + (random() < 0.6 ? '' : pick(random, SUFFIXES))
}

/** One change to a path. */
function bend(random: Random, path: string): string {
  const at = draw(random, path.length)
  const rest = path.slice(at + 1)
  const one = path[at] ?? ''
  const code = (one.codePointAt(0) ?? 0).toString(16).padStart(2, '0')
  // Bytes that no parser lets pass would drown the rest: one in five of their turns is enough.
  const turn = draw(random, 10)
  switch ((turn === 5 || turn === 7) && random() < 0.8 ? 0 : turn) {
    case 0:
      return replaceSeparator(random, path)
    case 1:
      return `${path.slice(0, at)}%${code}${rest}`
    case 2:
      return `${path.slice(0, at)}%25${code}${rest}`
    case 3:
      return path.slice(0, at) + (one === one.toUpperCase() ? one.toLowerCase() : one.toUpperCase()) + rest
    case 4:
      return path.toUpperCase()
    case 5:
      return (
        path.slice(0, at) +
        pick(random, ['\x00', '\t', '\x0b', '\x1f', '\x7f', '\x80', '\xa0', '\xff', '\r', ' ']) +
        path.slice(at)
      )
    case 6:
      return `${path.slice(0, at)}%u00${code}${rest}`
    case 7:
      // The same letter as two or three bytes of UTF-8: overlong, and full-width.
      return (
        path.slice(0, at) +
        pick(random, [`\xc1${String.fromCharCode(0x80 + draw(random, 64))}`, '\xef\xbd\x81']) +
        rest
      )
    case 8:
      return path.slice(0, at) + pick(random, SEPARATORS) + path.slice(at)
    default:
      return replaceSeparator(random, replaceSeparator(random, path))
  }
}

function replaceSeparator(random: Random, path: string): string {
  const places = [...path.matchAll(/\//g)].map((match) => match.index)
  const at = places[draw(random, places.length)] ?? 0
  return path.slice(0, at) + pick(random, SEPARATORS) + path.slice(at + 1)
}

/** A second request where a body should be, behind lengths that do not agree. */
function drawBody(random: Random): string {
  const inner = `GET /latest/${pick(random, SECRETS)} HTTP/1.1\r\nHost: a\r\n\r\n`
  return pick(random, [
    inner,
    `0\r\n\r\n${inner}`,
    `${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`,
    `\r\n${inner}`,
    'aaaa',
  ])
}

const noise = (random: Random): string =>
  Array.from({ length: 1 + draw(random, 40) }, () => String.fromCharCode(draw(random, 256))).join('')

const draw = (random: Random, below: number): number => Math.floor(random() * below)

function pick(random: Random, list: readonly string[]): string {
  return list[draw(random, list.length)] ?? ''
}
