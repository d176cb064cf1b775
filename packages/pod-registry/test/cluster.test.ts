import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect as connectSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFakeClock } from '@kube2iam-ts/core/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ApiConnection, type ClusterSource, connectToCluster, loadCluster } from '../src/kubernetes.ts'
import {
  createFakeApiServer,
  createTestAuthority,
  type FakeApiServer,
  type FakeApiServerOptions,
} from '../src/testing.ts'

let directory: string
let closers: (() => Promise<void>)[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pod-registry-'))
})
afterEach(async () => {
  for (const close of closers.toReversed()) await close()
  closers = []
  await rm(directory, { recursive: true })
})

async function file(name: string, text: string): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, text)
  return path
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function serve(
  options: FakeApiServerOptions,
): Promise<{ server: FakeApiServer; url: string; port: number }> {
  const server = createFakeApiServer(options)
  const { url, port } = await server.listen()
  closers.push(() => server.close())
  return { server, url, port }
}

async function connect(source: ClusterSource): Promise<ApiConnection> {
  const connection = connectToCluster(await loadCluster(source))
  closers.push(() => connection.close())
  return connection
}

async function status(connection: ApiConnection, path = '/api/v1/namespaces'): Promise<number> {
  const response = await connection.request({ method: 'GET', path })
  for await (const _ of response.body);
  return response.status
}

describe('a configuration that cannot work is refused with CLUSTER_CONFIG and says what is right', () => {
  test.each([
    ['no such file', undefined, /cannot be read/],
    ['an empty file', '', /not a kubeconfig|names no cluster/],
    ['no YAML', '{{{', /not a kubeconfig/],
    ['a list', '- a\n- b', /names no cluster/],
    ['no clusters', 'apiVersion: v1\nkind: Config\n', /names no cluster/],
    [
      'a context that is not there',
      'current-context: a\nclusters: [{name: c, cluster: {server: "https://x"}}]',
      /names no cluster/,
    ],
    [
      'a cluster without a server',
      'current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\nclusters: [{name: c, cluster: {}}]',
      /not a kubeconfig/,
    ],
  ])('a kubeconfig: %s', async (_, text, message) => {
    const path = text === undefined ? join(directory, 'missing') : await file('config', text)
    await expect(loadCluster({ kind: 'kubeconfig', path })).rejects.toMatchObject({
      code: 'CLUSTER_CONFIG',
      retryable: false,
      message: expect.stringMatching(message),
    })
  })

  test('an address that is none', async () => {
    await expect(loadCluster({ kind: 'address', server: 'api.example' })).rejects.toMatchObject({
      code: 'CLUSTER_CONFIG',
      message: '"api.example" is not the address of an API server; a right one is https://10.0.0.1:6443',
    })
  })

  test('a pod without its token', async () => {
    const source = { kind: 'in-cluster', host: '127.0.0.1', port: '1', directory } as const
    await expect(loadCluster(source)).rejects.toMatchObject({ code: 'CLUSTER_CONFIG' })
  })
})

test('in a cluster: the pod’s own token and CA, both read again when they are rotated', async () => {
  const [first, second] = [createTestAuthority(), createTestAuthority()]
  const hosts = ['127.0.0.1']
  const tlsOf = (authority: typeof first) => ({
    ...authority.issue({ commonName: 'api', hosts }),
    ca: authority.ca,
  })
  const { server, port } = await serve({ tls: tlsOf(first), token: 'one' })
  await file('token', 'one\n')
  await file('ca.crt', first.ca)
  const connection = await connect({ kind: 'in-cluster', host: '127.0.0.1', port: `${port}`, directory })
  expect(await status(connection)).toBe(200)

  server.setToken('two')
  expect(await status(connection)).toBe(401)
  await file('token', 'two')
  expect(await status(connection)).toBe(200)

  server.setTls(tlsOf(second))
  await expect(status(connection)).rejects.toMatchObject({ code: 'CLUSTER_UNREACHABLE', retryable: true })
  await file('ca.crt', second.ca)
  expect(await status(connection)).toBe(200)
})

test('a server whose certificate is not of the CA is not talked to, unless told', async () => {
  const { url } = await serve({ tls: true })
  const caFile = await file('ca.crt', createTestAuthority().ca)
  await expect(status(await connect({ kind: 'address', server: url, caFile }))).rejects.toMatchObject({
    code: 'CLUSTER_UNREACHABLE',
  })
  expect(await status(await connect({ kind: 'address', server: url, caFile, insecure: true }))).toBe(200)
})

test('a token file that is gone for a moment is CLUSTER_CREDENTIALS, and no reason to give up', async () => {
  const { url } = await serve({ token: 'one' })
  const tokenFile = await file('token', 'one')
  const connection = await connect({ kind: 'address', server: url, tokenFile })
  await rm(tokenFile)
  await expect(status(connection)).rejects.toMatchObject({ code: 'CLUSTER_CREDENTIALS', retryable: true })
  await file('token', 'one')
  expect(await status(connection)).toBe(200)
})

test('an API server that is not there is CLUSTER_UNREACHABLE and names the address', async () => {
  const { server, url } = await serve({})
  await server.close()
  closers.pop()
  await expect(status(await connect({ kind: 'address', server: url }))).rejects.toMatchObject({
    code: 'CLUSTER_UNREACHABLE',
    retryable: true,
    message: expect.stringContaining(url),
  })
})

describe('a kubeconfig', () => {
  /** The server's own kubeconfig with another user. */
  const withUser = (server: FakeApiServer, user: string): string =>
    server.kubeconfig().replace(/ {2}user:(?:\n {4}token.*| \{\})\n/, `  user: ${user}\n`)

  test('with a token', async () => {
    const { server } = await serve({ tls: true, token: 'secret' })
    const path = await file('config', server.kubeconfig())
    expect(await status(await connect({ kind: 'kubeconfig', path }))).toBe(200)
  })

  test('over plain HTTP, as a test cluster has it', async () => {
    const { server } = await serve({})
    const path = await file('config', server.kubeconfig())
    expect(await status(await connect({ kind: 'kubeconfig', path }))).toBe(200)
  })

  test('with a token file beside it, read again when the server refuses the token', async () => {
    const { server } = await serve({ tls: true, token: 'one' })
    await file('token', 'one')
    const path = await file('config', withUser(server, '{tokenFile: token}'))
    const connection = await connect({ kind: 'kubeconfig', path })
    expect(await status(connection)).toBe(200)
    server.setToken('two')
    await file('token', 'two')
    expect(await status(connection)).toBe(401)
    expect(await status(connection)).toBe(200)
  })

  test('with a client certificate', async () => {
    const authority = createTestAuthority()
    const tls = {
      ...authority.issue({ commonName: 'api', hosts: ['127.0.0.1'] }),
      ca: authority.ca,
      requireClientCertificate: true,
    }
    const { server } = await serve({ tls })
    const client = authority.issue({ commonName: 'node-1' })
    const base64 = (text: string): string => Buffer.from(text).toString('base64')
    const user = `{client-certificate-data: ${base64(client.cert)}, client-key-data: ${base64(client.key)}}`
    const path = await file('config', withUser(server, user))
    expect(await status(await connect({ kind: 'kubeconfig', path }))).toBe(200)
    const anonymous = await file('anonymous', withUser(server, '{}'))
    expect(await status(await connect({ kind: 'kubeconfig', path: anonymous }))).toBe(401)
  })

  test('with an exec plugin, run again when the server refuses what it said', async () => {
    const { server } = await serve({ tls: true, token: 'one' })
    await file('said', 'one')
    const plugin = await file(
      'plugin.sh',
      `#!/bin/sh\nprintf '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"%s"}}' "$(cat ${directory}/said)"\n`,
    )
    await chmod(plugin, 0o755)
    const exec =
      '{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin.sh, interactiveMode: Never}}'
    const path = await file('config', withUser(server, exec))
    const connection = await connect({ kind: 'kubeconfig', path })
    expect(await status(connection)).toBe(200)
    server.setToken('two')
    await file('said', 'two')
    expect(await status(connection)).toBe(401)
    expect(await status(connection)).toBe(200)
  })

  test('with an exec plugin that fails: CLUSTER_CREDENTIALS', async () => {
    const { server } = await serve({ tls: true, token: 'one' })
    const exec = '{exec: {apiVersion: client.authentication.k8s.io/v1, command: "false"}}'
    const path = await file('config', withUser(server, exec))
    await expect(status(await connect({ kind: 'kubeconfig', path }))).rejects.toMatchObject({
      code: 'CLUSTER_CREDENTIALS',
      retryable: true,
    })
  })

  describe('with an exec plugin that hangs', () => {
    let clock = createFakeClock()
    let connection: ApiConnection

    beforeEach(async () => {
      const { server } = await serve({ tls: true, token: 'one' })
      await file('pids', '')
      // The shell's child keeps the pipes open when the shell is killed.
      const plugin = await file(
        'plugin.sh',
        `#!/bin/sh\necho $$ >> ${directory}/pids\nsleep 5\nexec sleep 60\n`,
      )
      await chmod(plugin, 0o755)
      const exec = '{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin.sh}}'
      const path = await file('config', withUser(server, exec))
      clock = createFakeClock()
      connection = connectToCluster(await loadCluster({ kind: 'kubeconfig', path }), { clock })
    })
    afterEach(() => connection.close())
    const pids = async (): Promise<number[]> =>
      (await readFile(join(directory, 'pids'), 'utf8')).split('\n').filter(Boolean).map(Number)
    const running = async (count: number): Promise<void> =>
      expect.poll(async () => (await pids()).length, { timeout: 5000 }).toBe(count)
    const allEnded = async (): Promise<void> => {
      for (const pid of await pids()) await expect.poll(() => isRunning(pid), { timeout: 5000 }).toBe(false)
    }

    test('what is asked meanwhile waits for one plugin, is told CLUSTER_CREDENTIALS, and the plugin is ended', async () => {
      const asked = Promise.allSettled([status(connection), status(connection)])
      await running(1)
      await clock.advance(20_000)
      expect(await asked).toMatchObject([
        {
          reason: {
            code: 'CLUSTER_CREDENTIALS',
            retryable: true,
            message: expect.stringContaining('20000 ms'),
          },
        },
        { reason: { code: 'CLUSTER_CREDENTIALS' } },
      ])
      await allEnded()
      const again = expect(status(connection)).rejects.toMatchObject({ code: 'CLUSTER_CREDENTIALS' })
      await running(2)
      await clock.advance(20_000)
      await again
    })

    test('a caller that gives up does not wait for it', async () => {
      const stop = new AbortController()
      const asked = expect(
        connection.request({ method: 'GET', path: '/api', signal: stop.signal }),
      ).rejects.toMatchObject({ code: 'ABORTED' })
      await running(1)
      stop.abort()
      await asked
    })

    test('closing the connection ends it', async () => {
      const asked = expect(status(connection)).rejects.toMatchObject({ code: 'CLUSTER_UNREACHABLE' })
      await running(1)
      await connection.close()
      await asked
      await allEnded()
      expect(clock.pending).toBe(0)
    })
  })

  test('with a context by name', async () => {
    const { server } = await serve({})
    const path = await file(
      'config',
      server.kubeconfig().replace('current-context: fake', 'current-context: other'),
    )
    await expect(loadCluster({ kind: 'kubeconfig', path })).rejects.toMatchObject({ code: 'CLUSTER_CONFIG' })
    expect(await status(await connect({ kind: 'kubeconfig', path, context: 'fake' }))).toBe(200)
  })
})

test('an API server behind a path is asked behind that path', async () => {
  const { server, url } = await serve({})
  expect(await status(await connect({ kind: 'address', server: `${url}/k8s/clusters/c-1/` }))).toBe(404)
  expect(server.requests[0]?.path).toBe('/k8s/clusters/c-1/api/v1/namespaces')
})

test('a kubeconfig’s proxy-url is used, and what passes through it stays TLS', async () => {
  const { server } = await serve({ tls: true, token: 'secret' })
  const tunnels: string[] = []
  const proxy = createServer().on('connect', ({ url: target = '' }, socket) => {
    tunnels.push(target)
    const [host, port] = target.split(':')
    const upstream = connectSocket(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    socket.on('error', () => upstream.destroy())
    upstream.on('error', () => socket.destroy())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  closers.push(async () => void proxy.close())
  const proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const path = await file(
    'config',
    server.kubeconfig().replace('  cluster:\n', `  cluster:\n    proxy-url: ${proxyUrl}\n`),
  )
  expect(await status(await connect({ kind: 'kubeconfig', path }))).toBe(200)
  expect(tunnels).toHaveLength(1)
})

test('requests share connections, and a rotated token needs no new one', async () => {
  const { server, url } = await serve({ token: 'one' })
  const tokenFile = await file('token', 'one')
  const connection = await connect({ kind: 'address', server: url, tokenFile })
  for (const token of ['one', 'two', 'three']) {
    await file('token', token)
    server.setToken(token)
    expect(await status(connection)).toBe(200)
  }
  expect(server.connections).toBe(1)
})
