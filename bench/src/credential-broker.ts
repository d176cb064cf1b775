import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Clock, type Grant, Secret, systemClock } from '@kube2iam-ts/core'
import { aGrant, createFakeClock, createSeededRandom } from '@kube2iam-ts/core/testing'
import { type Broker, createBroker, type TokenService } from '@kube2iam-ts/credential-broker'
import { createAwsTokenService, staticNodeCredentials } from '@kube2iam-ts/credential-broker/aws'
import { createFakeSts, createFakeTokenService } from '@kube2iam-ts/credential-broker/testing'
import { median, percentile, type Table } from './table.ts'

const SIGNAL = new AbortController().signal
const NODE = { accessKeyId: 'ASIANODE0000000000AA', secretAccessKey: 'secret', sessionToken: 'token' }
const unlimited = {
  callsPerSecond: 1e6,
  callBurst: 1e6,
  concurrency: 64,
  queueCapacity: 1e6,
  maxSessions: 1e6,
}

const brokerOf = (tokenService: TokenService, clock: Clock = systemClock): Broker =>
  createBroker({ tokenService, clock, random: createSeededRandom(1), report: () => {}, settings: unlimited })

const ask = (broker: Broker, grant: Grant, pod: number) =>
  broker.credentials(grant, {
    owner: { uid: `uid-${pod}`, namespace: 'default', name: `pod-${pod}`, serviceAccount: 'default' },
    signal: SIGNAL,
    deadline: systemClock.monotonic() + 10_000,
  })

const grantOf = (pod: number): Grant =>
  aGrant({
    sessionName: `default.pod-${pod}`,
    tags: {
      'kubernetes-namespace': 'default',
      'kubernetes-pod-name': `pod-${pod}`,
      'eks-cluster-name': 'prod',
    },
  })

async function warmLookups(): Promise<{ kept: number; fresh: number }> {
  const broker = brokerOf(createFakeTokenService())
  const grants = Array.from({ length: 110 }, (_, pod) => grantOf(pod))
  await Promise.all(grants.map((grant, pod) => ask(broker, grant, pod)))
  const measure = async (grantFor: (pod: number) => Grant): Promise<number> => {
    const rounds: number[] = []
    for (let round = 0; round < 30; round += 1) {
      const from = performance.now()
      for (let call = 0; call < 20_000; call += 1) await ask(broker, grantFor(call % 110), call % 110)
      rounds.push(((performance.now() - from) * 1_000) / 20_000)
    }
    return Math.min(...rounds.slice(5))
  }
  // A decision that was kept gives the same object each time; one made anew gives an equal one.
  const copies = grants.map((grant) => Array.from({ length: 64 }, () => structuredClone(grant)))
  let turn = 0
  const kept = await measure((pod) => grants[pod] ?? grantOf(pod))
  const fresh = await measure((pod) => copies[pod]?.[(turn += 1) % 64] ?? grantOf(pod))
  await broker.close()
  return { kept, fresh }
}

/** The broker's own part of a first request: from the question to the call, and from STS's answer to the pod's. */
async function ownPart(): Promise<{ median: number; p99: number }> {
  const fake = createFakeTokenService()
  let [called, answered] = [0, 0]
  const service: TokenService = {
    warmUp: async () => {},
    async assumeRole(grant, options) {
      called = performance.now()
      const session = await fake.assumeRole(grant, options)
      await new Promise((resolve) => setImmediate(resolve))
      answered = performance.now()
      return session
    },
  }
  const broker = brokerOf(service)
  const samples: number[] = []
  for (let call = 0; call < 6_000; call += 1) {
    const grant = grantOf(call)
    const from = performance.now()
    await ask(broker, grant, call)
    if (call >= 1_000) samples.push(called - from + (performance.now() - answered))
  }
  await broker.close()
  const batches = Array.from({ length: 10 }, (_, batch) => samples.slice(batch * 500, (batch + 1) * 500))
  return { median: median(samples), p99: Math.min(...batches.map((batch) => percentile(batch, 0.99))) }
}

/** First requests over loopback HTTP, with and without a broker between. */
async function overTheWire(): Promise<{ direct: number; brokered: number }> {
  const sts = createFakeSts()
  const { url } = await sts.listen()
  sts.addPrincipal({ ...NODE, arn: 'arn:aws:sts::123456789012:assumed-role/node/i-1' })
  const trustPolicy = { Statement: { Effect: 'Allow', Principal: '*', Action: 'sts:*' } } as const
  sts.addRole({ arn: aGrant().role.text, trustPolicy })
  const service = createAwsTokenService({
    clock: systemClock,
    endpoint: url,
    region: 'eu-west-1',
    nodeCredentials: staticNodeCredentials({
      accessKeyId: NODE.accessKeyId,
      secretAccessKey: new Secret(NODE.secretAccessKey),
      sessionToken: new Secret(NODE.sessionToken),
      expiration: undefined,
    }),
  })
  const broker = brokerOf(service)
  const [direct, brokered]: [number[], number[]] = [[], []]
  for (let call = 0; call < 600; call += 1) {
    const first = performance.now()
    await service.assumeRole(grantOf(call), { signal: SIGNAL })
    const second = performance.now()
    await ask(broker, grantOf(1_000 + call), call)
    const third = performance.now()
    if (call < 100) continue
    direct.push(second - first)
    brokered.push(third - second)
  }
  await broker.close()
  await service.close()
  await sts.close()
  return { direct: median(direct), brokered: median(brokered) }
}

/** Heap and buffers of a held session, from the difference that many make. */
async function memoryPerSession(): Promise<{ heap: number; outside: number }> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const held = 10_000
  const clock = createFakeClock()
  // The fake remembers its calls, which is not the broker's memory.
  const fake = createFakeTokenService({ clock })
  const service: TokenService = {
    warmUp: async () => {},
    async assumeRole(grant, options) {
      const session = await fake.assumeRole(grant, options)
      const token = new Secret('F'.repeat(900))
      const secretAccessKey = new Secret('s'.repeat(40))
      return { ...session, credentials: { ...session.credentials, secretAccessKey, sessionToken: token } }
    },
  }
  const broker = brokerOf(service, clock)
  const settle = async () => {
    for (let round = 0; round < 4; round += 1) {
      collect()
      await new Promise((resolve) => setImmediate(resolve))
    }
    ;(fake.calls as unknown[]).length = 0
    collect()
    return process.memoryUsage()
  }
  const before = await settle()
  for (let pod = 0; pod < held; pod += 1)
    await ask(broker, { ...aGrant(), sessionName: `default.pod-${pod}` }, pod)
  const after = await settle()
  await broker.close()
  return {
    heap: (after.heapUsed - before.heapUsed) / held,
    outside: (after.arrayBuffers - before.arrayBuffers) / held,
  }
}

/** The broker's part of a request, and what a held session weighs. */
export async function run(): Promise<Table> {
  const warm = await warmLookups()
  const own = await ownPart()
  const wire = await overTheWire()
  const memory = await memoryPerSession()
  return {
    title: 'credential-broker',
    figures: [
      { what: 'warm lookup, the same grant', value: warm.kept, unit: 'µs', aim: { atMost: 2 } },
      { what: 'warm lookup, an equal grant made anew', value: warm.fresh, unit: 'µs', aim: { atMost: 2 } },
      { what: 'cold request: the broker’s own part, median', value: own.median, unit: 'ms' },
      { what: 'cold request: the broker’s own part, p99', value: own.p99, unit: 'ms', aim: { atMost: 2 } },
      {
        what: 'cold request over the wire, median',
        value: wire.brokered,
        unit: 'ms',
        against: `${wire.direct.toFixed(2)} ms without a broker`,
      },
      { what: 'memory of a held session, heap', value: memory.heap / 1_024, unit: 'KiB', aim: { atMost: 4 } },
      {
        what: 'memory of a held session, buffers',
        value: memory.outside / 1_024,
        unit: 'KiB',
        aim: { atMost: 2 },
      },
    ],
    notes: [
      'STS is the fake one over loopback HTTP in the same process, by the AWS SDK with signatures checked.',
      'Tokens of 900 bytes, as STS issues them; memory from 10,000 sessions.',
      'Lookups are the best of 25 rounds of 20,000, the p99 that of the quietest of ten batches of 500: what the code costs, and not what else the machine does.',
    ],
  }
}
