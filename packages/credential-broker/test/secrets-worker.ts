// A process of its own as far as memory goes: the heap that secrets.test.ts takes a snapshot of.
import { parentPort, workerData } from 'node:worker_threads'
import { Secret, systemClock } from '@kube2iam-ts/core'
import { aGrant } from '@kube2iam-ts/core/testing'
import { createAwsTokenService, staticNodeCredentials } from '../src/aws.ts'
import { createBroker } from '../src/index.ts'

const { url, accessKeyId, secret, token } = workerData as Record<string, string> & {
  secret: Uint8Array
  token: Uint8Array
}
const secretOf = (bytes: Uint8Array) => new Secret(Buffer.from(bytes).toString())

const broker = createBroker({
  tokenService: createAwsTokenService({
    clock: systemClock,
    endpoint: url,
    region: 'eu-west-1',
    nodeCredentials: staticNodeCredentials({
      accessKeyId: accessKeyId ?? '',
      secretAccessKey: secretOf(secret),
      sessionToken: secretOf(token),
      expiration: undefined,
    }),
  }),
  clock: systemClock,
  random: Math.random,
  report: () => {},
})

async function fetchSessions(): Promise<void> {
  for (let pod = 0; pod < 20; pod += 1) {
    const name = `pod-${pod}`
    const answer = await broker.credentials(aGrant({ sessionName: `default.${name}` }), {
      owner: { uid: name, namespace: 'default', name, serviceAccount: 'default' },
      signal: new AbortController().signal,
      deadline: systemClock.monotonic() + 10_000,
    })
    if (answer.kind !== 'credentials') throw new Error(JSON.stringify(answer))
  }
}

await fetchSessions()
// What a call leaves behind on the stack and in timers is gone when the next thing happens.
await new Promise((resolve) => setTimeout(resolve, 50))
parentPort?.postMessage(broker.sessions().map((session) => session.accessKeyId))
// Stays as it is until it has been looked at.
parentPort?.on('message', () => {})
