// Loaded before every test file. A connection that leaves loopback fails loudly: tests of a credentials agent must
// never reach a real metadata service, an AWS endpoint or anybody's cluster by accident.
import dgram from 'node:dgram'
import dns from 'node:dns'
import net from 'node:net'

process.env['AWS_EC2_METADATA_DISABLED'] = 'true'
process.env['AWS_ACCESS_KEY_ID'] ??= 'AKIATESTGUARD0000000'
process.env['AWS_SECRET_ACCESS_KEY'] ??= 'test-guard-not-a-secret'
process.env['AWS_REGION'] ??= 'us-east-1'
for (const name of ['http_proxy', 'https_proxy', 'all_proxy']) {
  delete process.env[name]
  delete process.env[name.toUpperCase()]
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' ||
  host === '::1' ||
  /^127\.\d+\.\d+\.\d+$/.test(host) ||
  /^::ffff:127\./.test(host) ||
  host === ''

function refuse(host: string): never {
  throw new Error(
    `A test tried to reach ${host}. Tests may talk to loopback only: set the endpoint of what you test explicitly.`,
  )
}

const connect = net.Socket.prototype.connect
net.Socket.prototype.connect = function guarded(this: net.Socket, ...args: unknown[]): net.Socket {
  const first: unknown = Array.isArray(args[0]) ? args[0][0] : args[0]
  if (typeof first === 'object' && first !== null && !('path' in first && first.path)) {
    const host = (first as { host?: string }).host ?? 'localhost'
    if (!isLoopback(host)) refuse(host)
  } else if (typeof first === 'number' && typeof args[1] === 'string' && !isLoopback(args[1])) {
    refuse(args[1])
  }
  return Reflect.apply(connect, this, args) as net.Socket
} as typeof connect

const send = dgram.Socket.prototype.send
dgram.Socket.prototype.send = function guarded(this: dgram.Socket, ...args: unknown[]): void {
  const host = args.find((arg, index) => index > 0 && typeof arg === 'string')
  if (typeof host === 'string' && !isLoopback(host)) refuse(host)
  Reflect.apply(send, this, args)
} as typeof send

const lookup = dns.lookup
Object.assign(dns, {
  lookup(host: string, ...rest: unknown[]) {
    if (!isLoopback(host) && net.isIP(host) === 0) refuse(host)
    return Reflect.apply(lookup, dns, [host, ...rest])
  },
})
