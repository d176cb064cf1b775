// One pod: a process of its own whose requests leave from the pod's address. It runs the AWS SDK's own
// instance-metadata provider, unmodified, and proves whose credentials it got by asking STS.
import http from 'node:http'
import type * as Sts from '@aws-sdk/client-sts'
import { fromInstanceMetadata } from '@smithy/credential-provider-imds'
import type { PodErrand, PodMessage, PodResult } from './pod-messages.ts'

const say = (message: PodMessage): void => {
  process.send?.(message)
}

process.once('message', (errand: PodErrand) => {
  void run(errand)
})

async function run(errand: PodErrand): Promise<void> {
  // The address that the kernel would put on every packet of a pod.
  http.globalAgent = new http.Agent({ localAddress: errand.address, keepAlive: false })
  process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] = errand.metadataEndpoint
  // Given explicitly so that the SDK does not look into a configuration file of the machine.
  process.env['AWS_EC2_METADATA_V1_DISABLED'] = 'false'
  process.env['AWS_CONFIG_FILE'] = process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null'
  const sts = errand.ask.kind === 'sdk' ? await import('@aws-sdk/client-sts') : undefined
  say({ kind: 'asking' })
  const start = performance.now()
  const elapsed = (): number => performance.now() - start
  const result =
    sts === undefined || errand.ask.kind !== 'sdk'
      ? await askDirectly(errand, elapsed)
      : await askBySdk(errand, sts, elapsed)
  say({ kind: 'done', result })
  process.disconnect()
}

async function askBySdk(
  errand: PodErrand,
  { STSClient, GetCallerIdentityCommand }: typeof Sts,
  elapsed: () => number,
): Promise<PodResult> {
  let credentials
  try {
    // One more try, by the SDK's own option: a busy machine may take longer than the second that it waits.
    credentials = await fromInstanceMetadata({ maxRetries: 1 })()
  } catch (error) {
    const tookMs = elapsed()
    const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : undefined
    const code = status === undefined ? await refusalCode(errand) : undefined
    return { outcome: 'refused', tookMs, status, code, message: messageOf(error) }
  }
  const tookMs = elapsed()
  const client = new STSClient({
    region: errand.region,
    endpoint: errand.stsEndpoint,
    credentials,
    maxAttempts: 1,
  })
  try {
    const identity = await client.send(new GetCallerIdentityCommand({}))
    return {
      outcome: 'credentials',
      tookMs,
      callerArn: identity.Arn ?? '',
      account: identity.Account ?? '',
      accessKeyId: credentials.accessKeyId,
      expiration: credentials.expiration?.toISOString() ?? '',
    }
  } catch (error) {
    return {
      outcome: 'refused',
      tookMs,
      status: undefined,
      code: 'GetCallerIdentity',
      message: messageOf(error),
    }
  } finally {
    client.destroy()
  }
}

async function askDirectly(errand: PodErrand, elapsed: () => number): Promise<PodResult> {
  const path =
    errand.ask.kind === 'document'
      ? `/latest/meta-data/iam/security-credentials/${errand.ask.role}`
      : errand.ask.kind === 'path'
        ? errand.ask.path
        : '/'
  const answer = await get(errand, path)
  const tookMs = elapsed()
  if (answer.status === 200 && answer.body.length > 0) {
    return { outcome: 'answered', tookMs, status: 200, body: answer.body }
  }
  return { outcome: 'refused', tookMs, status: answer.status, code: undefined, message: answer.body }
}

/** The `Code` of the document that the SDK called an invalid response. */
async function refusalCode(errand: PodErrand): Promise<string | undefined> {
  const base = '/latest/meta-data/iam/security-credentials/'
  const list = await get(errand, base).catch(() => undefined)
  if (list?.status !== 200) return undefined
  const document = await get(errand, `${base}${list.body}`).catch(() => undefined)
  try {
    const parsed: unknown = JSON.parse(document?.body ?? '')
    return typeof parsed === 'object' && parsed !== null && 'Code' in parsed ? String(parsed.Code) : undefined
  } catch {
    return undefined
  }
}

async function get(errand: PodErrand, path: string): Promise<{ status: number; body: string }> {
  const token = await request(errand, 'PUT', '/latest/api/token', {
    'x-aws-ec2-metadata-token-ttl-seconds': '60',
  })
  return request(errand, 'GET', path, { 'x-aws-ec2-metadata-token': token.body })
}

function request(
  errand: PodErrand,
  method: string,
  path: string,
  headers: Record<string, string>,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(errand.metadataEndpoint)
    http
      .request({ hostname, port, method, path, headers, timeout: 3000 }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
        )
      })
      .on('error', reject)
      .end()
  })
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
