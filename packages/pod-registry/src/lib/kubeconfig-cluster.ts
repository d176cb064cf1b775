import { readFile } from 'node:fs/promises'
import type { RequestOptions } from 'node:https'
import { dirname, isAbsolute, join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node/dist/config.js'
import { load as parseYaml } from 'js-yaml'
import { badConfig, type Cluster, type ClusterAccess, type ClusterSource, noCredentials } from './cluster.ts'

type KubeconfigSource = Extract<ClusterSource, { kind: 'kubeconfig' }>

/**
 * A cluster as a kubeconfig describes it. client-node reads the file, runs exec plugins and finds certificates; token
 * files, which it does not know, and relative plugin paths are added here. Rejects with `CLUSTER_CONFIG`.
 */
export async function createKubeconfigCluster(source: KubeconfigSource): Promise<Cluster> {
  const plugins = new Set<Plugin>()
  let config = holding(plugins, await read(source))
  return {
    server: serverOf(config, source),
    async access(signal) {
      const endPlugins = (): void => plugins.forEach(end)
      signal?.addEventListener('abort', endPlugins, { once: true })
      try {
        return await accessOf(config)
      } catch (cause) {
        throw noCredentials(cause)
      } finally {
        signal?.removeEventListener('abort', endPlugins)
      }
    },
    async renew() {
      try {
        // A new object: client-node keeps what an exec plugin said for as long as the plugin said it holds.
        config = holding(plugins, await read(source))
      } catch {
        // A file that is being rewritten: what was read before stays until it can be read again.
      }
    },
  }
}

/** A child process that client-node started, as far as it is to be ended. */
interface Plugin {
  readonly stdout: { destroy(): void } | null
  readonly stderr: { destroy(): void } | null
  kill(signal: 'SIGKILL'): void
  once(event: 'close', listener: () => void): void
}

/** Its pipes too: what the plugin itself started may hold them open, and with them this process. */
function end(plugin: Plugin): void {
  plugin.kill('SIGKILL')
  plugin.stdout?.destroy()
  plugin.stderr?.destroy()
}

/** client-node waits for a plugin for as long as it takes; here it is known which ones run. */
function holding(plugins: Set<Plugin>, config: KubeConfig): KubeConfig {
  const { authenticators } = config as unknown as {
    authenticators: { execFn?: (...args: unknown[]) => Plugin }[]
  }
  for (const authenticator of authenticators) {
    const start = authenticator.execFn
    if (start === undefined) continue
    authenticator.execFn = (...args) => {
      const plugin = start(...args)
      plugins.add(plugin)
      plugin.once('close', () => plugins.delete(plugin))
      return plugin
    }
  }
  return config
}

async function read({ path, context }: KubeconfigSource): Promise<KubeConfig> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw badConfig(`the kubeconfig ${path} cannot be read`, cause)
  })
  const config = new KubeConfig()
  try {
    config.loadFromString(text)
    complete(config, text, dirname(path))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw badConfig(`${path} is not a kubeconfig: ${why}`, cause)
  }
  if (context !== undefined) config.setCurrentContext(context)
  serverOf(config, { kind: 'kubeconfig', path })
  // client-node applies the cluster's CA only where there is a user.
  const chosen = config.getContextObject(config.getCurrentContext())
  if (config.getCurrentUser() === null && chosen !== null) {
    config.addUser({ name: ANONYMOUS })
    Object.assign(chosen, { user: ANONYMOUS })
  }
  return config
}

const ANONYMOUS = 'kube2iam:anonymous'

interface KubeconfigText {
  readonly users?: readonly { readonly name?: string; readonly user?: { readonly tokenFile?: string } }[]
}

function complete(config: KubeConfig, text: string, directory: string): void {
  config.makePathsAbsolute(directory)
  const absolute = (file: string): string => (isAbsolute(file) ? file : join(directory, file))
  for (const { name, user } of (parseYaml(text) as KubeconfigText).users ?? []) {
    const known = name === undefined ? null : config.getUser(name)
    if (known === null) continue
    if (typeof user?.tokenFile === 'string') {
      const authProvider = { name: 'tokenFile', config: { tokenFile: absolute(user.tokenFile) } }
      Object.assign(known, { authProvider, token: undefined })
    }
    // As kubectl: a bare name is looked for in PATH, a relative path is relative to the file.
    const exec = known.exec as { command?: string } | null | undefined
    if (exec?.command?.includes('/') === true) exec.command = absolute(exec.command)
  }
}

function serverOf(config: KubeConfig, { path, context }: KubeconfigSource): string {
  const server = config.getCurrentCluster()?.server
  if (server === undefined || !URL.canParse(server)) {
    const chosen = context ?? config.getCurrentContext() ?? ''
    throw badConfig(
      `${path} names no cluster: its current-context (${JSON.stringify(chosen)}) must name a context whose cluster has a server`,
    )
  }
  return server.replace(/\/+$/, '')
}

async function accessOf(config: KubeConfig): Promise<ClusterAccess> {
  const cluster = config.getCurrentCluster()
  const proxy = cluster?.proxyUrl
  if (proxy !== undefined && !/^https?:/.test(proxy)) {
    throw badConfig(`the kubeconfig's proxy-url ${JSON.stringify(proxy)} is not an HTTP proxy`)
  }
  // Without TLS there is nothing to verify, and client-node refuses such an address unless told so.
  if (cluster !== null && /^http:/i.test(cluster.server)) Object.assign(cluster, { skipTLSVerify: true })
  const options: RequestOptions = {}
  await config.applyToHTTPSOptions(options)
  const { ca, cert, key, passphrase, rejectUnauthorized, servername, headers = {}, auth } = options
  const basic = auth ? { authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {}
  const given = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value).trim()])
  const tls = { ca, cert, key, passphrase, rejectUnauthorized, servername }
  return {
    tls: Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined && value !== null)),
    headers: { ...basic, ...Object.fromEntries(given) },
    ...(proxy === undefined ? {} : { proxy }),
  }
}
