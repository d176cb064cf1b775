import type { Terminal } from '../terminal.ts'
import type { AgentProcess } from '../world/agent-process.ts'
import { startAgentProcess } from '../world/agent-process.ts'
import type { EmbeddedWorld } from '../world/embedded-world.ts'

export interface AgentSetUp {
  readonly node: string
  readonly world: EmbeddedWorld
  readonly region: string
  readonly baseArn: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly onLog?: (line: string) => void
  readonly terminal: Pick<Terminal, 'interrupted' | 'leftovers'>
}

/** The real agent of a node of the embedded world, on free ports of loopback. */
export function startAgentOf({
  node,
  world,
  region,
  baseArn,
  args,
  env,
  onLog,
  terminal,
}: AgentSetUp): Promise<AgentProcess> {
  const own = [
    `--node=${node}`,
    `--kubeconfig=${world.kubeconfig}`,
    `--metadata-addr=${world.urls.imds.replace('http://', '')}`,
    '--bind-address=127.0.0.1',
    '--app-port=0',
    '--metrics-address=127.0.0.1',
    '--metrics-port=0',
    `--run-directory=${world.directory}`,
  ]
  return startAgentProcess({
    name: node,
    directory: world.directory,
    signal: terminal.interrupted,
    leftovers: terminal.leftovers,
    args: [`--base-role-arn=${baseArn}`, ...args, ...own],
    env: { AWS_REGION: region, AWS_ENDPOINT_URL_STS: world.urls.sts, ...env },
    ...(onLog === undefined ? {} : { onLog }),
  })
}
