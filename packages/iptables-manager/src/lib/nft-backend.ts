import type { NetfilterBackend } from './backend.ts'
import type { CommandRunner } from './command-runner.ts'
import { netfilterError } from './errors.ts'
import { nftTables } from './layout.ts'
import { nftCommands, parseNftTable } from './nft-syntax.ts'
import type { NetfilterStep, ObservedChain, TableId } from './plan.ts'

/** What this backend asks of the kernel. */
const SAMPLE: readonly NetfilterStep[] = [
  {
    op: 'replace-chain',
    table: 'inet/kube2iam',
    chain: 'check',
    base: { type: 'nat', hook: 'prerouting', priority: -110 },
    rules: [
      {
        destination: 'fd00:ec2::254',
        protocol: 'tcp',
        destinationPort: 80,
        target: { kind: 'dnat', address: '::1', port: 8181 },
      },
    ],
    recreate: false,
  },
]

/** nftables without iptables: one table of our own, changed in one transaction for both families. */
export function createNftBackend({
  runner,
  program = 'nft',
}: {
  runner: CommandRunner
  program?: string
}): NetfilterBackend {
  const observeTable = async (
    table: TableId,
    signal?: AbortSignal,
  ): Promise<Map<string, ObservedChain> | undefined> => {
    const args = ['-j', 'list', 'table', ...table.split('/')]
    const { exitCode, stdout, stderr } = await runner.run(program, args, { ...(signal && { signal }) })
    if (exitCode === 0) return parseNftTable(stdout)
    if (/No such file or directory|does not exist/i.test(stderr)) return undefined
    throw netfilterError({ argv: [program, ...args], exitCode, stderr })
  }

  return {
    name: 'nft',
    async probe(signal) {
      // Checked by the kernel and not applied: NAT in the inet family came with Linux 5.2.
      const args = ['-c', '-j', JSON.stringify(nftCommands(SAMPLE))]
      const { exitCode, stderr } = await runner.run(program, args, { ...(signal && { signal }) })
      if (exitCode !== 0) throw netfilterError({ argv: [program, '-c', '-j'], exitCode, stderr })
      return { 4: { available: true, nat: true }, 6: { available: true, nat: true } }
    },
    tables: nftTables,
    async observe(tables, signal) {
      const observed = new Map<TableId, ReadonlyMap<string, ObservedChain>>()
      for (const { id } of tables) {
        const chains = await observeTable(id, signal)
        if (chains !== undefined) observed.set(id, chains)
      }
      return observed
    },
    async fingerprint(tables, signal) {
      const texts = await Promise.all(
        tables.map(({ id }) =>
          runner.run(program, ['-s', 'list', 'table', ...id.split('/')], { ...(signal && { signal }) }),
        ),
      )
      return texts.map(({ exitCode, stdout }) => `${exitCode} ${stdout}`).join('')
    },
    // Its monitor is there wherever nft is; without it everything is looked at each time.
    fingerprintOf: () => '',
    async apply(steps, signal) {
      if (steps.length === 0) return
      // `nft -f -` opens /dev/stdin anew, which a socket, as Node gives its children, does not allow.
      const args = ['-j', JSON.stringify(nftCommands(steps))]
      const { exitCode, stderr } = await runner.run(program, args, { ...(signal && { signal }) })
      if (exitCode !== 0) throw netfilterError({ argv: [program, ...args], exitCode, stderr })
    },
    monitors: [['nft', ['monitor']]],
    concerns: (line) => line.includes(' inet kube2iam') || line.startsWith('delete table'),
  }
}
