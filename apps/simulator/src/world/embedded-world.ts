import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FakeSts } from '@kube2iam-ts/credential-broker/testing'
import { createFakeSts } from '@kube2iam-ts/credential-broker/testing'
import type { FakeInstance } from '@kube2iam-ts/metadata-emulator/testing'
import { createFakeInstance } from '@kube2iam-ts/metadata-emulator/testing'
import type { FakeApiServer } from '@kube2iam-ts/pod-registry/testing'
import { createFakeApiServer } from '@kube2iam-ts/pod-registry/testing'
import type { RoleDefinition } from '../aws/roles.ts'
import type { KubeObject } from '../cluster/objects.ts'
import type { AwsWorld } from '../scenario/load.ts'
import type { Leftovers } from '../terminal.ts'

export interface EmbeddedWorldOptions {
  readonly aws: AwsWorld
  readonly objects: readonly KubeObject[]
  readonly leftovers: Leftovers
}

/** A cluster's API server, STS and an EC2 instance's metadata service, real ones over HTTP on loopback. */
export interface EmbeddedWorld {
  readonly api: FakeApiServer
  readonly sts: FakeSts
  readonly instance: FakeInstance
  readonly urls: { readonly api: string; readonly sts: string; readonly imds: string }
  /** Path of a kubeconfig for the API server. */
  readonly kubeconfig: string
  /** A directory of the world's own, gone after `close`. */
  readonly directory: string
  setRoles(roles: readonly RoleDefinition[]): void
  close(): Promise<void>
}

/** Starts everything; `close` ends everything and removes its directory. */
export async function startEmbeddedWorld({
  aws,
  objects,
  leftovers,
}: EmbeddedWorldOptions): Promise<EmbeddedWorld> {
  const directory = mkdtempSync(join(tmpdir(), 'kube2iam-sim-'))
  const removeDirectory = (): void => rmSync(directory, { recursive: true, force: true })
  const gone = leftovers.add(removeDirectory)
  const api = createFakeApiServer()
  const sts = createFakeSts(aws.organizationId === undefined ? {} : { organizationId: aws.organizationId })
  const instance = createFakeInstance({
    role: aws.nodeRole.name,
    account: aws.nodeRole.account,
    region: aws.region,
  })
  sts.addPrincipal(instance.credentials)
  const known = new Set<string>()
  const setRoles = (roles: readonly RoleDefinition[]): void => {
    for (const arn of known) sts.removeRole(arn)
    known.clear()
    for (const { arn, trustPolicy, maxSessionDurationSeconds } of roles) {
      known.add(arn.text)
      sts.addRole({
        arn: arn.text,
        trustPolicy,
        ...(maxSessionDurationSeconds === undefined ? {} : { maxSessionDurationSeconds }),
      })
    }
  }
  setRoles(aws.roles)
  for (const object of inOrder(objects)) api.apply(object)
  const close = async (): Promise<void> => {
    await Promise.all([api.close(), sts.close(), instance.close()])
    removeDirectory()
    gone()
  }
  try {
    const [apiAt, stsAt, imdsAt] = await Promise.all([api.listen(), sts.listen(), instance.listen()])
    const kubeconfig = join(directory, 'kubeconfig')
    mkdirSync(directory, { recursive: true })
    writeFileSync(kubeconfig, api.kubeconfig(), { mode: 0o600 })
    return {
      api,
      sts,
      instance,
      urls: { api: apiAt.url, sts: stsAt.url, imds: imdsAt.url },
      kubeconfig,
      directory,
      setRoles,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

const KNOWN_KINDS = ['Namespace', 'Node', 'ServiceAccount', 'DaemonSet', 'Pod']

/** Namespaces before what is in them; kinds that the agent has nothing to do with are left out. */
export function inOrder(objects: readonly KubeObject[]): readonly KubeObject[] {
  const rank = ({ kind }: KubeObject): number => KNOWN_KINDS.indexOf(kind)
  return objects.filter(({ kind }) => KNOWN_KINDS.includes(kind)).toSorted((a, b) => rank(a) - rank(b))
}
