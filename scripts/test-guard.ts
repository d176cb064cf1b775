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
  host === '' || host === 'localhost' || host === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(host)

function assertLoopback(host: unknown): void {
  if (typeof host !== 'string' || isLoopback(host)) return
  throw new Error(
    `A test tried to reach ${host}. Tests may talk to loopback only: set the endpoint of what you test explicitly.`,
  )
}

/** Puts a look at the arguments before a method, leaving the method as it is. */
function before(target: object, method: string, look: (args: unknown[]) => void): void {
  const original: unknown = Reflect.get(target, method)
  if (typeof original !== 'function') throw new Error(`test-guard: there is no ${method} to guard`)
  Reflect.set(target, method, function guarded(this: unknown, ...args: unknown[]): unknown {
    look(args)
    return Reflect.apply(original, this, args)
  })
}

before(net.Socket.prototype, 'connect', (args) => {
  // net.connect() hands its normalised arguments over as an array of [options, callback].
  const first: unknown = Array.isArray(args[0]) ? args[0][0] : args[0]
  if (typeof first === 'object' && first !== null) {
    const { host, path } = first as { host?: unknown; path?: unknown }
    if (path === undefined || path === null) assertLoopback(host)
  } else if (typeof first === 'number') {
    assertLoopback(args[1])
  }
})
before(dgram.Socket.prototype, 'send', (args) =>
  assertLoopback(args.slice(1).find((arg) => typeof arg === 'string')),
)
before(dns, 'lookup', ([host]) => {
  if (typeof host === 'string' && net.isIP(host) === 0) assertLoopback(host)
})
