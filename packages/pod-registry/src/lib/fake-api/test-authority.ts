import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'
import { systemClock } from '@kube2iam-ts/core'

/** A certificate with its key, both PEM. */
export interface IssuedCertificate {
  readonly cert: string
  readonly key: string
}

export interface CertificateRequest {
  commonName: string
  /** Subject alternative names: host names and IP addresses. */
  hosts?: readonly string[]
  /** From now; a day unless told. Negative: already over. */
  validForMs?: number
}

/** A certificate authority for tests. */
export interface TestAuthority {
  /** The authority's own certificate, PEM. */
  readonly ca: string
  issue(request: CertificateRequest): IssuedCertificate
}

// X.509 (RFC 5280) as far as a server and a client certificate need it, written in DER by hand: Node signs, but makes
// no certificates, and a test should not need openssl.

const SEQUENCE = 0x30
const SET = 0x31
const INTEGER = 0x02
const BIT_STRING = 0x03
const OCTET_STRING = 0x04
const OBJECT_ID = 0x06
const UTF8_STRING = 0x0c
const GENERALIZED_TIME = 0x18
const BOOLEAN = 0x01

const ECDSA_WITH_SHA256 = '2a8648ce3d040302'
const COMMON_NAME = '550403'
const BASIC_CONSTRAINTS = '551d13'
const KEY_USAGE = '551d0f'
const SUBJECT_ALT_NAME = '551d11'

const DAY_MS = 86_400_000

/** Makes an authority with a new key. Its name is new too, so that two of them are never confused. */
export function createTestAuthority(): TestAuthority {
  const issuer = `kube2iam test authority ${randomBytes(4).toString('hex')}`
  const { publicKey, privateKey } = newKey()
  const ca = certificate({
    issuer,
    subject: issuer,
    publicKey,
    signer: privateKey,
    validForMs: DAY_MS,
    isAuthority: true,
  })
  return {
    ca,
    issue({ commonName, hosts = [], validForMs = DAY_MS }) {
      const pair = newKey()
      return {
        cert: certificate({
          issuer,
          subject: commonName,
          publicKey: pair.publicKey,
          signer: privateKey,
          validForMs,
          isAuthority: false,
          hosts,
        }),
        key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      }
    },
  }
}

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })

interface CertificateFields {
  issuer: string
  subject: string
  publicKey: KeyObject
  signer: KeyObject
  validForMs: number
  isAuthority: boolean
  hosts?: readonly string[]
}

function certificate({
  issuer,
  subject,
  publicKey,
  signer,
  validForMs,
  isAuthority,
  hosts = [],
}: CertificateFields): string {
  const now = systemClock.now()
  const algorithm = der(SEQUENCE, oid(ECDSA_WITH_SHA256))
  const serial = randomBytes(8)
  serial[0] = 0x40 | ((serial[0] ?? 0) & 0x3f)
  const body = der(
    SEQUENCE,
    der(0xa0, der(INTEGER, Buffer.from([2]))),
    der(INTEGER, serial),
    algorithm,
    name(issuer),
    der(SEQUENCE, time(now - DAY_MS), time(now + validForMs)),
    name(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(SEQUENCE, ...extensions(isAuthority, hosts))),
  )
  const signature = sign('sha256', body, signer)
  const whole = der(SEQUENCE, body, algorithm, der(BIT_STRING, Buffer.from([0]), signature))
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

function extensions(isAuthority: boolean, hosts: readonly string[]): Buffer[] {
  const always = [
    extension(BASIC_CONSTRAINTS, der(SEQUENCE, ...(isAuthority ? [der(BOOLEAN, Buffer.from([0xff]))] : []))),
    // keyCertSign of an authority, digitalSignature of others: bits 5 and 0.
    extension(KEY_USAGE, der(BIT_STRING, isAuthority ? Buffer.from([2, 0x04]) : Buffer.from([7, 0x80]))),
  ]
  if (hosts.length === 0) return always
  const names = hosts.map((host) =>
    isIP(host) === 0 ? der(0x82, Buffer.from(host)) : der(0x87, addressBytes(host)),
  )
  return [...always, extension(SUBJECT_ALT_NAME, der(SEQUENCE, ...names))]
}

const extension = (id: string, value: Buffer): Buffer => der(SEQUENCE, oid(id), der(OCTET_STRING, value))

const name = (commonName: string): Buffer =>
  der(SEQUENCE, der(SET, der(SEQUENCE, oid(COMMON_NAME), der(UTF8_STRING, Buffer.from(commonName)))))

const oid = (hex: string): Buffer => der(OBJECT_ID, Buffer.from(hex, 'hex'))

const time = (at: number): Buffer =>
  der(GENERALIZED_TIME, Buffer.from(`${new Date(at).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`))

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  if (address === '::1') return Buffer.concat([Buffer.alloc(15), Buffer.from([1])])
  throw new Error(`the test authority writes IPv4 addresses and ::1, not ${address}`)
}

/** One DER value: tag, length, contents. */
function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents)
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body])
  const length = Buffer.from(body.length.toString(16).padStart(body.length > 0xff ? 4 : 2, '0'), 'hex')
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body])
}
