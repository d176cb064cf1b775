import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFakeSts } from '@kube2iam-ts/credential-broker/testing'
import { createFakeInstance } from '@kube2iam-ts/metadata-emulator/testing'
import { createFakeApiServer, type FakeApiServer } from '@kube2iam-ts/pod-registry/testing'

/** A full node: as many pods as Kubernetes puts on one by default. */
export const PODS = 110
export const addressOf = (index: number): string =>
  `127.44.${1 + Math.floor(index / 200)}.${1 + (index % 200)}`
export const roleOf = (index: number): string => `role-${index}`

/** What the agent of a full node has around it. */
export interface World {
  readonly api: FakeApiServer
  readonly directory: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** When the API server answered for the first time (milliseconds since the epoch). */
  firstAnswerAt(): number
  forget(): void
  close(): Promise<void>
}

/** The API server speaks TLS, as real ones do; each pod has a role, and so a session, of its own. */
export async function createWorld(): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), 'kube2iam-footprint-'))
  const api = createFakeApiServer({ tls: true })
  const instance = createFakeInstance({ account: '123456789012', role: 'node', region: 'eu-central-1' })
  const sts = createFakeSts({})
  await api.listen()
  const metadata = await instance.listen()
  const { url } = await sts.listen()
  sts.addPrincipal(instance.credentials)
  for (let index = 0; index < PODS; index += 1) {
    sts.addRole({
      arn: `arn:aws:iam::123456789012:role/${roleOf(index)}`,
      trustPolicy: {
        Statement: { Effect: 'Allow', Principal: '*', Action: ['sts:AssumeRole', 'sts:TagSession'] },
      },
    })
    api.apply(pod(index))
  }
  const kubeconfig = join(directory, 'kubeconfig')
  writeFileSync(kubeconfig, api.kubeconfig())
  return {
    api,
    directory,
    args: [
      '--node=node-1',
      `--kubeconfig=${kubeconfig}`,
      `--metadata-addr=127.0.0.1:${metadata.port}`,
      '--bind-address=127.0.0.1',
      '--app-port=0',
      '--metrics-port=0',
      `--ports-file=${join(directory, 'ports.json')}`,
      `--run-directory=${join(directory, 'run')}`,
      '--log-format=json',
    ],
    env: { AWS_ENDPOINT_URL_STS: url, AWS_REGION: 'eu-central-1', AWS_EC2_METADATA_DISABLED: 'true' },
    firstAnswerAt: () => api.requests[0]?.at ?? Number.NaN,
    forget: () => {
      ;(api.requests as unknown[]).length = 0
    },
    async close() {
      await Promise.all([api.close(), instance.close(), sts.close()])
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** As large as pods are: what the agent does not need of them is most of them. */
const pod = (index: number) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: `pod-${index}`,
    namespace: 'default',
    labels: { app: `app-${index}`, 'pod-template-hash': '7d4c9bf7f' },
    annotations: { 'iam.amazonaws.com/role': roleOf(index), filler: 'x'.repeat(2_000) },
    managedFields: [{ manager: 'kubelet', fieldsV1: { filler: 'x'.repeat(3_000) } }],
  },
  spec: {
    nodeName: 'node-1',
    serviceAccountName: 'default',
    containers: [{ name: 'main', env: [{ name: 'A', value: 'x'.repeat(1_000) }] }],
  },
  status: {
    phase: 'Running',
    podIP: addressOf(index),
    podIPs: [{ ip: addressOf(index) }],
    conditions: [{ type: 'Ready', status: 'True', message: 'x'.repeat(500) }],
  },
})
