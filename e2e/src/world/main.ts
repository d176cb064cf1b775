import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import { createFakeSts } from '@kube2iam-ts/credential-broker/testing'
import { createFakeInstance } from '@kube2iam-ts/metadata-emulator/testing'
import { createFakeApiServer } from '@kube2iam-ts/pod-registry/testing'
import type { InstanceRequest, WorldApi, WorldMessage, WorldOptions, WorldRequest } from './protocol.ts'
import { createS3 } from './s3.ts'

// Everything outside the agent, as one process inside a namespace of the lab: the API server, STS, an S3-shaped
// endpoint, and the EC2 instance's metadata service on the metadata address itself. Tests steer it over Node's IPC.
const options = JSON.parse(process.argv[2] ?? '') as WorldOptions
const sealKey = 'e2e world'

const api = createFakeApiServer({ ...options.apiSecurity })
const sts = createFakeSts({ key: sealKey })
const instance = createFakeInstance({
  account: options.account,
  region: options.region,
  role: options.nodeRole,
  ...(options.instanceTokens === undefined ? {} : { tokens: options.instanceTokens }),
})
const s3 = createS3({ sealKey, node: instance.credentials })
sts.addPrincipal(instance.credentials)

// The fake keeps requests as a client sends them; whose packet it was is only the socket's to tell.
const instanceRequests: InstanceRequest[] = []
subscribe('http.server.request.start', (message) => {
  const { request } = message as { request: IncomingMessage }
  if (!options.metadata.includes(plain(request.socket.localAddress))) return
  instanceRequests.push({
    method: request.method ?? '',
    target: request.url ?? '',
    from: plain(request.socket.remoteAddress),
    userAgent: request.headers['user-agent'] ?? '',
  })
})

for (const host of options.metadata) await instance.listen({ host, port: 80 })
const { url: apiUrl } = await api.listen({ host: options.address })
const { url: stsUrl } = await sts.listen({ host: options.address })
const { url: s3Url } = await s3.listen(options.address)

const world: WorldApi = {
  apply: (manifest) => void api.apply(manifest),
  delete: (kind, namespace, name) => api.delete(kind, namespace, name),
  list: (kind, namespace) => api.list(kind, namespace),
  addRole: (role) => sts.addRole(role),
  addToken: (token, owner) => api.addToken(token, owner),
  stsCalls: () => sts.calls,
  s3Calls: () => s3.calls,
  apiRequests: () => [...api.requests],
  instanceRequests: () => instanceRequests,
  fault: (part, values) => void Object.assign({ instance, sts, api }[part].faults, values),
  get: (url) => get(url) as never,
}

process.on('message', (request: WorldRequest) => {
  const method = world[request.method] as (...args: readonly unknown[]) => unknown
  Promise.resolve()
    .then(() => method(...request.args))
    .then(
      (result) => send({ id: request.id, result }),
      (error: unknown) => send({ id: request.id, error: String(error) }),
    )
})
// The test process is gone: so is the reason to be.
process.on('disconnect', () => process.exit(0))
process.on('SIGTERM', () => process.exit(0))
send({
  ready: {
    apiUrl,
    stsUrl,
    s3Url,
    kubeconfig: api.kubeconfig(),
    canary: instance.canary,
    nodeAccessKeyId: instance.credentials.accessKeyId,
  },
})

function send(message: WorldMessage): void {
  process.send?.(message)
}

async function get(url: string): Promise<{ status: number; body: string }> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    return { status: response.status, body: await response.text() }
  } catch (error) {
    return { status: 0, body: String(error) }
  }
}

function plain(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:/, '')
}
