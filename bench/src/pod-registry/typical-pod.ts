import type { Manifest } from '@kube2iam-ts/pod-registry/testing'

export const ROLE_KEY = 'iam.amazonaws.com/role'

const container = (name: string) => ({
  name,
  image: `registry.example/team/${name}:v1.42.0@sha256:${'0123456789abcdef'.repeat(4)}`,
  ports: [{ containerPort: 8080, name: 'http', protocol: 'TCP' }],
  env: Array.from({ length: 12 }, (_, index) => ({
    name: `SETTING_${index}`,
    value: `value-of-setting-${index}`,
  })),
  resources: { limits: { memory: '512Mi' }, requests: { cpu: '100m', memory: '256Mi' } },
  volumeMounts: [
    { mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', name: 'kube-api-access', readOnly: true },
  ],
  livenessProbe: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 10, timeoutSeconds: 1 },
  terminationMessagePath: '/dev/termination-log',
  imagePullPolicy: 'IfNotPresent',
})

// One specification for all: the server needs little memory for many pods, and sends each in full.
const spec = {
  containers: [container('main'), container('sidecar')],
  volumes: [
    {
      name: 'kube-api-access',
      projected: { sources: [{ serviceAccountToken: { expirationSeconds: 3607, path: 'token' } }] },
    },
  ],
  tolerations: [
    { effect: 'NoExecute', key: 'node.kubernetes.io/not-ready', operator: 'Exists', tolerationSeconds: 300 },
  ],
  schedulerName: 'default-scheduler',
  restartPolicy: 'Always',
}

const conditions = [
  'PodReadyToStartContainers',
  'Initialized',
  'Ready',
  'ContainersReady',
  'PodScheduled',
].map((type) => ({
  type,
  status: 'True',
  lastTransitionTime: '2026-01-01T00:00:00Z',
}))

const addressOf = (index: number): string => `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`

/** A pod as Deployments make them: about 4 kB of JSON, of which an identity agent needs a tenth. */
export function typicalPod(index: number): Manifest {
  const name = `deployment-${Math.floor(index / 20)}-5d4f8c7b9d-${index.toString(36).padStart(5, 'x')}`
  const podIP = addressOf(index)
  return {
    kind: 'Pod',
    metadata: {
      name,
      namespace: `team-${index % 40}`,
      labels: { app: `deployment-${Math.floor(index / 20)}`, 'pod-template-hash': '5d4f8c7b9d' },
      annotations: { [ROLE_KEY]: `role-${index % 200}`, 'checksum/config': '0123456789abcdef'.repeat(4) },
    },
    spec: { ...spec, nodeName: `node-${index % 1000}`, serviceAccountName: `account-${index % 100}` },
    status: {
      phase: 'Running',
      podIP,
      podIPs: [{ ip: podIP }],
      conditions,
      startTime: '2026-01-01T00:00:00Z',
    },
  }
}

export const typicalAddress = addressOf
