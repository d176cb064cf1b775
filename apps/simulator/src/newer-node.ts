import { spawn } from 'node:child_process'

/** What the packages are built for; `engines` of the manifests says the same. */
const LEAST = [22, 19] as const
const BROUGHT = '24.21.0'

/**
 * On a Node that is too old: fetches a newer one with npm, as a package, and runs the same command on it. Resolves with
 * its exit status, or with `undefined` where this Node will do.
 */
export async function runOnNewerNode(command: readonly string[]): Promise<number | undefined> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > LEAST[0] || (major === LEAST[0] && minor >= LEAST[1])) return undefined
  const packaged = process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64')
  if (!packaged || process.env['KUBE2IAM_SIM_BROUGHT_NODE'] === 'true') {
    process.stderr.write(
      `kube2iam-sim needs Node ${LEAST.join('.')} or newer; this is Node ${process.versions.node}\n`,
    )
    return 2
  }
  process.stderr.write(
    `Node ${process.versions.node} is too old: running on Node ${BROUGHT} from the npm registry\n`,
  )
  const child = spawn(
    'npm',
    ['exec', '--yes', `--package=node-linux-${process.arch}@${BROUGHT}`, '--', 'node', ...command],
    { stdio: 'inherit', env: { ...process.env, KUBE2IAM_SIM_BROUGHT_NODE: 'true' } },
  )
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  return new Promise((resolve) => {
    child.on('exit', (code) => resolve(code ?? 1))
    child.on('error', (error) => {
      process.stderr.write(`${error.message}\n`)
      resolve(2)
    })
  })
}
