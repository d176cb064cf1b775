import type { Manifest } from '@kube2iam-ts/pod-registry/testing'
import type { Lab, Pod, PodOptions } from './lab/lab.ts'
import type { World } from './world/world.ts'

export const NODE_NAME = 'node-a'

export interface ClusterPodOptions extends Partial<PodOptions> {
  readonly namespace?: string
  /** Value of the role annotation; none when absent. */
  readonly role?: string
  readonly annotations?: Readonly<Record<string, string>>
  readonly serviceAccount?: string
}

export interface ClusterPod extends Pod {
  readonly podName: string
  readonly uid: string
}

/** Puts node and namespaces into the API server, and roles that trust the node's role into STS. */
export async function furnish(world: World, roles: readonly string[], namespaces = ['apps']): Promise<void> {
  await world.apply({ kind: 'Node', metadata: { name: NODE_NAME } })
  for (const name of namespaces) await world.apply({ kind: 'Namespace', metadata: { name } })
  for (const arn of roles) {
    await world.addRole({
      arn: arn.startsWith('arn:') ? arn : world.roleArn(arn),
      trustPolicy: {
        Version: '2012-10-17',
        Statement: { Effect: 'Allow', Principal: { AWS: world.account }, Action: 'sts:AssumeRole' },
      },
    })
  }
}

let lastAddress = 10

/** A pod on both sides: a network namespace that is attached to the node, and the object that the API server has. */
export async function runPod(
  lab: Lab,
  world: World,
  name: string,
  options: ClusterPodOptions = {},
): Promise<ClusterPod> {
  const host = ++lastAddress
  const { address = `10.244.0.${host}`, address6 = `fd00:10:244::${host.toString(16)}` } = options
  const attach = options.attach ?? 'bridge'
  const pod = await lab.addPod(name, { address, address6, attach })
  const uid = await registerPod(world, name, address, {
    ...options,
    ...(attach === 'bridge' ? { address6 } : {}),
  })
  return { ...pod, podName: name, uid }
}

let pods = 0

/** Tells the API server of a running pod with these addresses; its network is the caller's affair. */
export async function registerPod(
  world: World,
  name: string,
  address: string,
  options: ClusterPodOptions,
): Promise<string> {
  const uid = `00000000-0000-4000-8000-${String(++pods).padStart(12, '0')}`
  await world.apply(podManifest(name, uid, address, options.address6, options))
  return uid
}

function podManifest(
  name: string,
  uid: string,
  address: string,
  address6: string | undefined,
  options: ClusterPodOptions,
): Manifest {
  const { role, serviceAccount = 'default', namespace = 'apps' } = options
  const annotations = {
    ...(role === undefined ? {} : { 'iam.amazonaws.com/role': role }),
    ...options.annotations,
  }
  const podIPs = [{ ip: address }, ...(address6 === undefined ? [] : [{ ip: address6 }])]
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, uid, annotations },
    spec: { nodeName: NODE_NAME, serviceAccountName: serviceAccount, containers: [{ name: 'main' }] },
    status: { phase: 'Running', hostIP: '192.168.77.10', podIP: address, podIPs },
  }
}

/** As the kubelet projects one into the pod: a JWT, of which only the API server can tell whether it is genuine. */
export async function projectToken(world: World, { podName, uid }: ClusterPod): Promise<string> {
  const claims = {
    aud: ['pods.eks.amazonaws.com'],
    exp: 4_102_444_799,
    'kubernetes.io': { namespace: 'apps', pod: { name: podName, uid } },
  }
  const token = ['{"alg":"RS256"}', JSON.stringify(claims), 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')
  await world.addToken(token, {
    username: 'system:serviceaccount:apps:default',
    audiences: ['pods.eks.amazonaws.com'],
    extra: {
      'authentication.kubernetes.io/pod-name': [podName],
      'authentication.kubernetes.io/pod-uid': [uid],
    },
  })
  return token
}
