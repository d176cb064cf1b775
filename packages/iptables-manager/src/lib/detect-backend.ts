import { CodedError, isCoded } from '@kube2iam-ts/core'
import type { NetfilterBackend } from './backend.ts'
import type { CommandRunner } from './command-runner.ts'
import { createIptablesBackend, type IptablesPrograms } from './iptables-backend.ts'
import { withSecondGuard } from './locked-backend.ts'
import { createNftBackend } from './nft-backend.ts'
import { nftCommands } from './nft-syntax.ts'
import type { NodeFiles } from './node-files.ts'
import type { BackendName } from './settings.ts'

export interface DetectedBackend {
  readonly backend: NetfilterBackend
  /** Why this one, in one sentence. */
  readonly evidence: string
  /** The others that this node can run, where rules of ours from another time may lie. */
  readonly others: readonly NetfilterBackend[]
}

export interface DetectBackendOptions {
  readonly runner: CommandRunner
  readonly files: NodeFiles
  readonly wanted?: BackendName | 'auto'
  readonly signal?: AbortSignal
}

/**
 * Finds out what the node programs netfilter with, and takes the same: two kinds of iptables side by side each see
 * only their own rules, and whoever looks with the other finds none of ours. Rejects with `IPTABLES_MISSING`.
 */
export async function detectBackend({
  runner,
  files,
  wanted = 'auto',
  signal,
}: DetectBackendOptions): Promise<DetectedBackend> {
  const usable = await usableBackends(runner, signal)
  // Asking the legacy kind loads its kernel modules, which then seem to be in use: ask only where they are.
  const legacyLoaded = ((await files.readText('/proc/net/ip_tables_names')) ?? '').trim() !== ''
  const byName = (name: BackendName): NetfilterBackend | undefined =>
    usable.find((backend) => backend.name === name)
  const nft = byName('nft')
  const lock = nft !== undefined && (await canGuard(runner, signal)) ? nft : undefined
  const take = (backend: NetfilterBackend, evidence: string): DetectedBackend => {
    const locked = lock !== undefined && backend !== lock
    return {
      backend: locked ? withSecondGuard(backend, lock) : backend,
      evidence,
      others: usable.filter(
        (other) =>
          other !== backend &&
          !(locked && other === lock) &&
          (other.name !== 'iptables-legacy' || legacyLoaded),
      ),
    }
  }

  if (wanted !== 'auto') {
    const backend = byName(wanted)
    if (backend !== undefined) return take(backend, `${wanted} was asked for`)
    throw missing(
      `${wanted} is not installed here; there is ${usable.map(({ name }) => name).join(', ') || 'none at all'}`,
    )
  }
  const evidence = await nodeEvidence(runner, legacyLoaded, usable, signal)
  const found = evidence
    .map(({ name, why }) => ({ backend: byName(name), why }))
    .find(({ backend }) => backend)
  if (found?.backend !== undefined) return take(found.backend, found.why)
  const first = byName('iptables-nft') ?? byName('nft') ?? byName('iptables-legacy')
  if (first !== undefined) return take(first, 'the node has no rules yet')
  throw missing('neither iptables nor nft is installed')
}

/** Whether the kernel takes a guard of ours as nftables, by having it checked and not applied. */
async function canGuard(runner: CommandRunner, signal?: AbortSignal): Promise<boolean> {
  const rule = { destination: '169.254.169.254', target: { kind: 'drop' } } as const
  const base = { type: 'filter', hook: 'forward', priority: -150 } as const
  const check = nftCommands([
    { op: 'replace-chain', table: 'inet/kube2iam', chain: 'check', base, rules: [rule], recreate: false },
  ])
  const { exitCode } = await runner.run('nft', ['-c', '-j', JSON.stringify(check)], {
    ...(signal && { signal }),
  })
  return exitCode === 0
}

const missing = (what: string): CodedError =>
  new CodedError('IPTABLES_MISSING', `${what}: add the package iptables or nftables to the image`)

async function usableBackends(runner: CommandRunner, signal?: AbortSignal): Promise<NetfilterBackend[]> {
  const [nft, legacy, native] = await Promise.all([
    iptablesPrograms(runner, 'nft', 'nf_tables', signal),
    iptablesPrograms(runner, 'legacy', 'legacy', signal),
    versionOf(runner, 'nft', signal),
  ])
  return [
    ...(nft[4] === undefined && nft[6] === undefined
      ? []
      : [createIptablesBackend({ name: 'iptables-nft', runner, programs: nft })]),
    ...(native === undefined ? [] : [createNftBackend({ runner })]),
    ...(legacy[4] === undefined && legacy[6] === undefined
      ? []
      : [createIptablesBackend({ name: 'iptables-legacy', runner, programs: legacy })]),
  ]
}

/** Distributions ship `iptables-nft` and `iptables-legacy`, or only `iptables`, whose version says which it is. */
async function iptablesPrograms(
  runner: CommandRunner,
  kind: 'nft' | 'legacy',
  mark: string,
  signal?: AbortSignal,
): Promise<Record<4 | 6, IptablesPrograms | undefined>> {
  const find = async (base: 'iptables' | 'ip6tables'): Promise<IptablesPrograms | undefined> => {
    for (const name of [`${base}-${kind}`, base]) {
      const version = await versionOf(runner, name, signal)
      if (version?.includes(mark))
        return { iptables: name, restore: name === base ? `${base}-restore` : `${base}-${kind}-restore` }
    }
    return undefined
  }
  const [v4, v6] = await Promise.all([find('iptables'), find('ip6tables')])
  return { 4: v4, 6: v6 }
}

async function versionOf(
  runner: CommandRunner,
  program: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  try {
    const { exitCode, stdout } = await runner.run(program, ['--version'], { ...(signal && { signal }) })
    return exitCode === 0 ? stdout : undefined
  } catch (error) {
    if (isCoded(error, 'COMMAND_MISSING') || isCoded(error, 'COMMAND_DENIED')) return undefined
    throw error
  }
}

interface Evidence {
  readonly name: BackendName
  readonly why: string
}

/** Chains by which the programs that run a node's network are known. */
const NETWORK_CHAIN = /^:((?:KUBE-|cali-|CILIUM_|FLANNEL-|WEAVE|DOCKER|AWS-|CNI-|ANTREA-|OVN-KUBE-)\S*)/gm

async function nodeEvidence(
  runner: CommandRunner,
  legacyLoaded: boolean,
  usable: readonly NetfilterBackend[],
  signal?: AbortSignal,
): Promise<Evidence[]> {
  const options = { ...(signal && { signal }) }
  const chainsOf = async (kind: 'nft' | 'legacy'): Promise<string[]> => {
    if (!usable.some(({ name }) => name === `iptables-${kind}`)) return []
    if (kind === 'legacy' && !legacyLoaded) return []
    const saved = await Promise.all(
      ['nat', 'mangle'].map((table) =>
        runner
          .run(`iptables-${kind}-save`, ['-t', table], options)
          .catch(() => ({ exitCode: 1, stdout: '' })),
      ),
    )
    return saved.flatMap(({ exitCode, stdout }) =>
      exitCode === 0 ? [...stdout.matchAll(NETWORK_CHAIN)].map((match) => match[1] ?? '') : [],
    )
  }
  const [nft, legacy, native] = await Promise.all([
    chainsOf('nft'),
    chainsOf('legacy'),
    nativeTables(runner, usable, options),
  ])
  const evidence = [
    { name: 'iptables-nft', chains: nft } as const,
    { name: 'iptables-legacy', chains: legacy } as const,
  ]
    .filter(({ chains }) => chains.length > 0)
    // A few chains of the kubelet may lie in one and thousands of kube-proxy in the other: the fuller one is in use.
    .toSorted((a, b) => b.chains.length - a.chains.length)
    .map(
      ({ name, chains }): Evidence => ({
        name,
        why: `${chains.length} chains such as ${chains[0]} are in ${name}`,
      }),
    )
  const proxy = native.find((table) => table === 'kube-proxy')
  return proxy === undefined
    ? evidence
    : [{ name: 'nft', why: 'kube-proxy keeps its rules in nftables' }, ...evidence]
}

async function nativeTables(
  runner: CommandRunner,
  usable: readonly NetfilterBackend[],
  options: { signal?: AbortSignal },
): Promise<string[]> {
  if (!usable.some(({ name }) => name === 'nft')) return []
  const { exitCode, stdout } = await runner.run('nft', ['list', 'tables'], options)
  return exitCode === 0 ? [...stdout.matchAll(/^table \S+ (\S+)/gm)].map((match) => match[1] ?? '') : []
}
