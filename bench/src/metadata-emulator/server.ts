// A process of its own for each server under test: `bare` is node:http with ready answers, `silent` is the emulator
// whose reports nobody reads, `measured` has the agent's own metrics, and `told` its JSON log as well.
import { createServer } from 'node:http'
import { parseRoleArn, type Report, Secret, systemClock } from '@kube2iam-ts/core'
import {
  type CredentialService,
  createEmulator,
  createMemoryTokenKeys,
  type EmulatorEvent,
} from '@kube2iam-ts/metadata-emulator'
import { listen } from '@kube2iam-ts/metadata-emulator/node'
import { createFakeInstance } from '@kube2iam-ts/metadata-emulator/testing'
import { Registry } from 'prom-client'
import { createLogging } from '../../../apps/agent/src/logging.ts'
import { createEmulatorTelemetry } from '../../../packages/agent-runtime/src/lib/telemetry/emulator-telemetry.ts'
import { createMetrics } from '../../../packages/agent-runtime/src/lib/telemetry/metrics.ts'

export type ServerKind = 'bare' | 'silent' | 'measured' | 'told'

/** The emulator's own answers, as they were captured from it, which the bare server repeats. */
export type Captured = Readonly<
  Record<string, { readonly headers: readonly string[]; readonly body: string }>
>

async function bare(captured: Captured): Promise<number> {
  const ready = new Map(
    Object.entries(captured).map(([target, { headers, body }]) => [
      target,
      { headers: [...headers], body: Buffer.from(body) },
    ]),
  )
  const server = createServer((request, response) => {
    const answer = ready.get(request.url ?? '')
    response.writeHead(answer === undefined ? 404 : 200, answer?.headers ?? [])
    response.end(answer?.body)
  })
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, resolve))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function emulator(kind: Exclude<ServerKind, 'bare'>): Promise<{ port: number }> {
  const report = kind === 'silent' ? () => {} : telling(kind === 'told')
  const { metadata } = createEmulator({
    service: warmService(),
    upstream: createFakeInstance().upstream,
    clock: systemClock,
    random: Math.random,
    report,
    tokenKeys: createMemoryTokenKeys(),
    // The limiter works, and refuses nobody.
    settings: { rate: { perSecond: 1_000_000, burst: 1_000_000 } },
  })
  return await listen({ handler: metadata, host: '127.0.0.1', port: 0, clock: systemClock, report })
}

/** A service that has everything at hand, so that what is measured is the emulator. */
function warmService(): CredentialService {
  const role = parseRoleArn('arn:aws:iam::123456789012:role/app')
  const now = Date.now()
  const caller = { uid: 'a-uid', namespace: 'default', name: 'app-7d4b9', createdAt: now, boundAt: now }
  const credentials = {
    accessKeyId: 'ASIABENCH00000000000',
    secretAccessKey: new Secret('s'.repeat(40)),
    sessionToken: new Secret('t'.repeat(800)),
    issuedAt: new Date(now),
    expiration: new Date(now + 3_600_000),
  }
  const refused = { kind: 'refused', code: 'token-invalid' } as const
  return {
    callerAt: () => ({ kind: 'pod', caller }),
    waitForCaller: async () => ({ kind: 'pod', caller }),
    roleFor: async () => ({ kind: 'role', role, caller }),
    credentialsFor: async () => ({ kind: 'credentials', role, credentials, caller }),
    credentialsForToken: async () => refused,
  }
}

function telling(logged: boolean): Report<EmulatorEvent> {
  const metrics = createMetrics(new Registry(), {
    parts: () => [],
    ready: () => true,
    pods: () => 1,
    waiting: () => 0,
    watchAgeMs: () => ({}),
    sessions: () => [],
    now: () => Date.now(),
    residentBytes: () => 0,
    cpuSeconds: () => 0,
    auditLost: () => 0,
  })
  const { log } = createLogging({ format: 'json', level: logged ? 'info' : 'error' })
  return createEmulatorTelemetry({ log, metrics })
}

const [, , kind, captured = '{}'] = process.argv as [string, string, ServerKind, string?]
const port = kind === 'bare' ? await bare(JSON.parse(captured) as Captured) : (await emulator(kind)).port
process.once('disconnect', () => process.exit())
process.send?.({ port })
