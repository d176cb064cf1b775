import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createExecFileRunner, type NodeFiles } from '../../src/index.ts'

/** Whether namespaces can be made here; why not, if not. */
export function whyNoNamespaces(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root: skipped'
  try {
    const { name, remove } = createNamespace('check')
    remove()
    return name === '' ? 'no name' : undefined
  } catch (error) {
    return `network namespaces cannot be made here: ${String(error)}`
  }
}

export const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' })

export function createNamespace(purpose: string): { name: string; remove: () => void } {
  const name = `k2im-${purpose}-${randomBytes(4).toString('hex')}`
  ip('netns', 'add', name)
  return { name, remove: () => void ip('netns', 'delete', name) }
}

/** A runner and the files of a namespace: `/proc/net` is another there. */
export function inside(namespace: string) {
  // Not `ip netns exec`, whose private mounts would hide from one command the namespace that another has made.
  const runner = createExecFileRunner({ prefix: ['nsenter', `--net=/run/netns/${namespace}`] })
  const files: NodeFiles = {
    async readText(path) {
      const { exitCode, stdout } = await runner.run('cat', [path])
      return exitCode === 0 ? stdout : undefined
    },
    list: async () => [],
  }
  return { runner, files }
}

/**
 * A runner in a namespace that has a /run/netns of its own, in which nobody else makes namespaces meanwhile. What is made
 * there goes with `close`.
 */
export async function insideWithOwnNetns(namespace: string) {
  const shell = 'mount -t tmpfs tmpfs /run/netns && echo ready && exec sleep infinity'
  const child = spawn('ip', ['netns', 'exec', namespace, 'unshare', '--mount', 'sh', '-c', shell], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = once(child, 'exit')
  const [said] = (await Promise.race([once(child.stdout, 'data'), gone])) as [unknown]
  if (String(said).trim() !== 'ready') throw new Error('no /run/netns of its own can be made')
  const runner = createExecFileRunner({
    prefix: ['nsenter', '--target', String(child.pid), '--mount', '--net'],
  })
  return {
    runner,
    async close() {
      child.kill('SIGKILL')
      await gone
    },
  }
}
