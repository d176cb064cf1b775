import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFakeSts, type FakeSts } from '@kube2iam-ts/credential-broker/testing'
import { createFakeInstance, type FakeInstance } from '@kube2iam-ts/metadata-emulator/testing'
import { createFakeApiServer, type FakeApiServer } from '@kube2iam-ts/pod-registry/testing'

export const NODE = 'node-1'
export const ACCOUNT = '123456789012'

/** Everything outside an agent, on loopback: an API server, an EC2 instance's metadata service and an STS. */
export interface World {
  readonly api: FakeApiServer
  readonly instance: FakeInstance
  readonly sts: FakeSts
  readonly directory: string
  /** Settings under which an agent lives in this world, with ports that the system chooses. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  addRole(name: string, trustPolicy?: object): string
  addPod(pod: PodSpec): void
  path(name: string): string
  close(): Promise<void>
}

export interface PodSpec {
  readonly name: string
  readonly ip?: string
  readonly namespace?: string
  readonly annotations?: Readonly<Record<string, string>>
  readonly serviceAccount?: string
  readonly hostNetwork?: boolean
  readonly phase?: string
}

export async function createWorld(): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), 'kube2iam-test-'))
  const api = createFakeApiServer()
  const instance = createFakeInstance({ account: ACCOUNT, region: 'eu-central-1', role: 'node' })
  const sts = createFakeSts({})
  await api.listen()
  const metadata = await instance.listen()
  const { url: stsUrl } = await sts.listen()
  sts.addPrincipal(instance.credentials)
  api.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: NODE } })
  const path = (name: string) => join(directory, name)
  writeFileSync(path('kubeconfig'), api.kubeconfig())
  return {
    api,
    instance,
    sts,
    directory,
    path,
    args: [
      `--node=${NODE}`,
      `--kubeconfig=${path('kubeconfig')}`,
      `--metadata-addr=127.0.0.1:${metadata.port}`,
      '--app-port=0',
      '--metrics-port=0',
      `--ports-file=${path('ports.json')}`,
      `--run-directory=${path('run')}`,
      '--log-format=json',
      '--bind-address=127.0.0.1',
    ],
    env: {
      AWS_ENDPOINT_URL_STS: stsUrl,
      AWS_REGION: 'eu-central-1',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    addRole(name, trustPolicy) {
      const arn = name.startsWith('arn:') ? name : `arn:aws:iam::${ACCOUNT}:role/${name}`
      const anybody = {
        Version: '2012-10-17',
        Statement: { Effect: 'Allow', Principal: { AWS: '*' }, Action: ['sts:AssumeRole', 'sts:TagSession'] },
      }
      sts.addRole({ arn, trustPolicy: (trustPolicy ?? anybody) as never })
      return arn
    },
    addPod({
      name,
      ip,
      namespace = 'default',
      annotations = {},
      serviceAccount,
      hostNetwork,
      phase = 'Running',
    }) {
      api.apply({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace, annotations },
        spec: {
          nodeName: NODE,
          serviceAccountName: serviceAccount ?? 'default',
          hostNetwork: hostNetwork ?? false,
        },
        status: { phase, ...(ip !== undefined && { podIP: ip, podIPs: [{ ip }] }) },
      })
    },
    async close() {
      await Promise.all([api.close(), instance.close(), sts.close()])
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
