import type { RoleArn } from '@kube2iam-ts/core'
import { parseBaseArn, parseRoleArn } from '@kube2iam-ts/core'
import type { RoleDefinition } from '../aws/roles.ts'
import { trustPolicyOf } from '../aws/roles.ts'
import type { KubeObject, ShortPod } from '../cluster/objects.ts'
import { namespaceObject, nodeObject, podObject } from '../cluster/objects.ts'
import type { AwsWorld } from '../scenario/load.ts'
import type { PodAsk } from './pod-messages.ts'

/** One asking pod of the demonstration. */
export interface DemoCase {
  /** What kind of pod it is, in words. */
  readonly kind: string
  /** `namespace/name`. */
  readonly pod: string
  readonly short: ShortPod
  readonly ask: PodAsk
  /** When the pod comes into the cluster: before all, when it asks, or in place of another pod. */
  readonly arrives?: 'late' | { readonly insteadOf: string }
  /** The role whose credentials it should get, or just how it should be refused. */
  readonly gets: RoleArn | ExpectedRefusal
}

/** The HTTP status, or the `Code` of a document that holds no credentials. */
export type ExpectedRefusal = { readonly refused: number | string }

export const DEMO_NODES = ['node-1', 'node-2'] as const
export const nodeAddress = (node: string): string => (node === 'node-2' ? '127.44.255.2' : '127.44.255.1')

const ACCOUNT = '123456789012'
const PARTNER = '210987654321'
const role = (name: string, account = ACCOUNT): RoleArn =>
  parseRoleArn(`arn:aws:iam::${account}:role/${name}`)
const address = (number: number): readonly string[] => [`127.44.0.${number}`]
const sdk: PodAsk = { kind: 'sdk' }

export const DEMO_CASES: readonly DemoCase[] = [
  {
    kind: 'short role name',
    pod: 'shop/web',
    short: { ip: address(1), role: 'shop-web' },
    ask: sdk,
    gets: role('shop-web'),
  },
  {
    kind: 'full ARN',
    pod: 'shop/api',
    short: { ip: address(2), role: role('shop-api').text },
    ask: sdk,
    gets: role('shop-api'),
  },
  {
    kind: 'role of another account',
    pod: 'audit/reader',
    short: { ip: address(3), role: role('audit-reader', PARTNER).text },
    ask: sdk,
    gets: role('audit-reader', PARTNER),
  },
  {
    kind: 'role with a path',
    pod: 'data/etl',
    short: { ip: address(4), role: 'team/data/etl' },
    ask: sdk,
    gets: role('team/data/etl'),
  },
  { kind: 'no annotation', pod: 'shop/plain', short: { ip: address(5) }, ask: sdk, gets: { refused: 404 } },
  {
    kind: 'no annotation, default role',
    pod: 'legacy/plain',
    short: { ip: address(6), node: 'node-2' },
    ask: sdk,
    gets: role('legacy-default'),
  },
  {
    kind: 'namespace forbids the role',
    pod: 'sandbox/greedy',
    short: { ip: address(7), role: 'shop-api' },
    ask: sdk,
    gets: { refused: 404 },
  },
  {
    kind: "asks for another pod's role",
    pod: 'shop/curious',
    short: { ip: address(8), role: 'shop-web' },
    ask: { kind: 'document', role: 'shop-api' },
    gets: { refused: 404 },
  },
  {
    kind: 'right external ID',
    pod: 'partner/good',
    short: { ip: address(9), role: 'partner-export', externalId: 'kiwi-42' },
    ask: sdk,
    gets: role('partner-export'),
  },
  {
    kind: 'wrong external ID',
    pod: 'partner/bad',
    short: { ip: address(10), role: 'partner-export', externalId: 'lime-13' },
    ask: sdk,
    gets: { refused: 'AssumeRoleUnauthorizedAccess' },
  },
  {
    kind: 'address not known yet',
    pod: 'jobs/early',
    short: { ip: address(11), role: 'jobs-runner' },
    ask: sdk,
    arrives: 'late',
    gets: role('jobs-runner'),
  },
  {
    kind: 'address of a pod just gone',
    pod: 'jobs/newcomer',
    short: { ip: address(12), role: 'jobs-newcomer' },
    ask: sdk,
    arrives: { insteadOf: 'jobs/leaver' },
    gets: role('jobs-newcomer'),
  },
  {
    kind: 'host network',
    pod: 'ops/node-exporter',
    short: { ip: [nodeAddress('node-1')], role: 'ops-exporter', hostNetwork: true },
    ask: sdk,
    gets: { refused: 404 },
  },
]

/** The pod whose address `jobs/newcomer` takes over; it asks first, so that its session is in the cache. */
export const LEAVER: DemoCase = {
  kind: 'has the address first',
  pod: 'jobs/leaver',
  short: { ip: address(12), role: 'jobs-leaver' },
  ask: sdk,
  gets: role('jobs-leaver'),
}

/** What tools on this machine are: they come from 127.0.0.1. */
export const LAPTOP = { key: 'default/laptop', short: { ip: ['127.0.0.1'], role: 'laptop' } } as const

const nodeRole = role('kube-node')

export const DEMO_AWS: AwsWorld = {
  region: 'eu-west-1',
  base: parseBaseArn(`arn:aws:iam::${ACCOUNT}:role/`),
  nodeRole,
  organizationId: undefined,
  roles: [
    ...[
      'shop-web',
      'shop-api',
      'legacy-default',
      'jobs-runner',
      'jobs-newcomer',
      'jobs-leaver',
      'ops-exporter',
      'laptop',
    ].map((name) => role(name)),
    role('audit-reader', PARTNER),
    role('team/data/etl'),
  ]
    .map(
      (arn): RoleDefinition => ({
        arn,
        trustPolicy: trustPolicyOf({}, nodeRole),
        maxSessionDurationSeconds: undefined,
      }),
    )
    .concat({
      arn: role('partner-export'),
      trustPolicy: trustPolicyOf({ externalId: 'kiwi-42' }, nodeRole),
      maxSessionDurationSeconds: undefined,
    }),
}

/** The cluster as it is before the first pod asks. */
export function demoObjects(): readonly KubeObject[] {
  const allowed: Readonly<Record<string, readonly string[]>> = {
    shop: ['shop-*'],
    audit: [`arn:aws:iam::${PARTNER}:role/audit-*`],
    data: ['team/data/*'],
    legacy: [],
    sandbox: ['sandbox-*'],
    partner: ['partner-*'],
    jobs: ['jobs-*'],
    ops: ['ops-*'],
    default: ['laptop'],
  }
  return [
    ...Object.entries(allowed).map(([name, allowedRoles]) => namespaceObject(name, { allowedRoles })),
    ...DEMO_NODES.map((name) => nodeObject(name, nodeAddress(name))),
    ...DEMO_CASES.filter(({ arrives }) => arrives === undefined).map(({ pod, short }) =>
      podObject(pod, short),
    ),
    podObject(LEAVER.pod, LEAVER.short),
    podObject(LAPTOP.key, LAPTOP.short),
  ]
}

/** What `node-2`'s agent is told beside what both are. */
export const agentArgsOf = (node: string): readonly string[] =>
  node === 'node-2' ? ['--default-role=legacy-default'] : []
