// Fills V8's code cache while the image is built: starts the agent as the image will start it, gives it an API server
// and an STS that know just enough, lets one pod ask for its credentials in both versions of the protocol, and stops
// it, because the cache is written on a normal exit only. Ends with status 1 when any of that goes wrong, so an image
// whose agent does not work is not built.
//
//   node warm-up.mjs COMMAND [ARGUMENT…]
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const POD_ADDRESS = '127.44.0.7'
const ROLE = 'warm-up'
const DEADLINE_MS = 30_000

const pod = {
  metadata: {
    name: 'pod',
    namespace: 'default',
    uid: '00000000-0000-4000-8000-000000000001',
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
    annotations: { 'iam.amazonaws.com/role': ROLE },
  },
  spec: { nodeName: 'node', serviceAccountName: 'default', containers: [{ name: 'main' }] },
  status: { phase: 'Running', podIP: POD_ADDRESS, podIPs: [{ ip: POD_ADDRESS }] },
}
const namespace = { metadata: { name: 'default', uid: '2', resourceVersion: '1' } }

const world = createServer((incoming, response) => {
  const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://world')
  const json = (body) =>
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
  if (incoming.method === 'POST' && pathname === '/') {
    const expiration = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+/, '')
    response
      .writeHead(200, { 'Content-Type': 'text/xml' })
      .end(
        `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>` +
          `<AssumedRoleUser><AssumedRoleId>AROA:pod</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/${ROLE}/pod</Arn></AssumedRoleUser>` +
          `<Credentials><AccessKeyId>ASIAWARMUPWARMUPWARM</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>` +
          `<SessionToken>token</SessionToken><Expiration>${expiration}</Expiration></Credentials>` +
          `</AssumeRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>`,
      )
  } else if (searchParams.get('watch') !== null) {
    // An open watch without events; it ends with the agent.
    response.writeHead(200, { 'Content-Type': 'application/json' }).flushHeaders()
  } else if (pathname === '/api/v1/pods') {
    json({ kind: 'PodList', apiVersion: 'v1', metadata: { resourceVersion: '1' }, items: [pod] })
  } else if (pathname === '/api/v1/namespaces') {
    const apiVersion = 'meta.k8s.io/v1'
    json({
      kind: 'PartialObjectMetadataList',
      apiVersion,
      metadata: { resourceVersion: '1' },
      items: [namespace],
    })
  } else {
    response.writeHead(404).end('{}')
  }
})
await new Promise((resolve) => world.listen(0, '127.0.0.1', resolve))
const worldUrl = `http://127.0.0.1:${world.address().port}`

const folder = mkdtempSync(join(tmpdir(), 'warm-up-'))
const portsFile = join(folder, 'ports.json')
const [command, ...args] = process.argv.slice(2)
const flags = [
  `--api-server=${worldUrl}`,
  '--node=node',
  '--base-role-arn=arn:aws:iam::123456789012:role/',
  `--metadata-addr=127.0.0.1:${world.address().port}`,
  `--sts-endpoint=${worldUrl}`,
  '--region=us-east-1',
  '--bind-address=127.0.0.1',
  '--app-port=0',
  '--metrics-port=0',
  `--ports-file=${portsFile}`,
  `--run-directory=${folder}`,
  '--log-format=json',
]
const env = {
  ...process.env,
  AWS_ACCESS_KEY_ID: 'AKIAWARMUPWARMUPWARM',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_EC2_METADATA_DISABLED: 'true',
}
const agent = spawn(command, [...args, ...flags], { env, stdio: ['ignore', 'pipe', 'pipe'] })
let log = ''
for (const stream of [agent.stdout, agent.stderr]) stream.on('data', (chunk) => (log += chunk))
const ended = new Promise((resolve) => agent.on('exit', (code, signal) => resolve(code ?? signal)))

try {
  const { metadata, status } = await until(() => JSON.parse(readFileSync(portsFile, 'utf8')))
  await until(async () => (await ask(status, 'GET', '/readyz')).status === 200)
  const path = `/latest/meta-data/iam/security-credentials/`
  const ttl = { 'X-aws-ec2-metadata-token-ttl-seconds': '60' }
  const token = (await ask(metadata, 'PUT', '/latest/api/token', ttl)).body
  for (const headers of [{ 'X-aws-ec2-metadata-token': token }, {}]) {
    const role = await ask(metadata, 'GET', path, headers)
    if (role.body !== ROLE) throw new Error(`the role list says ${role.status} "${role.body}"`)
    const document = await ask(metadata, 'GET', path + ROLE, headers)
    if (document.status !== 200) throw new Error(`the document says ${document.status}`)
  }
  await ask(status, 'GET', '/metrics')
  agent.kill('SIGTERM')
  const end = await ended
  if (end !== 0) throw new Error(`the agent ended with ${end}`)
} catch (error) {
  agent.kill('SIGKILL')
  process.stderr.write(`warm-up: ${error instanceof Error ? error.message : String(error)}\n${log}\n`)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
  world.closeAllConnections()
  world.close()
}

function ask({ host, port }, method, path, headers = {}) {
  return new Promise((resolve, reject) => {
    const options = {
      host: host === '0.0.0.0' ? '127.0.0.1' : host,
      port,
      method,
      path,
      headers,
      localAddress: POD_ADDRESS,
    }
    const sent = request(options, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text) => (body += text))
      response.on('end', () => resolve({ status: response.statusCode, body }))
    })
    sent.on('error', reject).end()
  })
}

/** The first result of `attempt` that is neither false nor an exception. */
async function until(attempt) {
  const deadline = Date.now() + DEADLINE_MS
  for (;;) {
    try {
      const result = await attempt()
      if (result !== false) return result
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
    if (Date.now() > deadline) throw new Error('not in time')
    if (agent.exitCode !== null) throw new Error(`the agent ended with ${agent.exitCode}`)
    await delay(20)
  }
}
