import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
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
