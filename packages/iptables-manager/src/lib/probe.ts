import { aborted, isCoded, type Random } from '@kube2iam-ts/core'
import type { CaptureSource } from './capture-rules.ts'
import type { CommandResult, CommandRunner } from './command-runner.ts'
import { probeNamespace } from './probe-leftovers.ts'
import type { CaptureCounters } from './status.ts'

/** What became of a connection that was tried from where pods are. */
export type ProbeResult =
  /** The redirect took it; `answered` says whether the agent then did. */
  | { readonly outcome: 'intercepted'; readonly answered: boolean; readonly evidence: string }
  /** It came past the redirect, and the guard dropped it: pods get no credentials, and not the node's either. */
  | { readonly outcome: 'dropped'; readonly evidence: string }
  /** Somebody answered who is not the agent. */
  | { readonly outcome: 'exposed'; readonly evidence: string }
  /** It met none of our rules and nobody answered. */
  | { readonly outcome: 'lost'; readonly evidence: string }
  | { readonly outcome: 'impossible'; readonly reason: string }

export interface ProbeOptions {
  readonly runner: CommandRunner
  readonly random: Random
  /** Wall-clock time, ms. */
  readonly now: number
  /** By what pods are known; the probe is attached by the first that it can be attached by. */
  readonly sources: readonly CaptureSource[]
  /** Reads what our rules counted so far. */
  readonly counters: () => Promise<CaptureCounters>
  /** The program that makes the connection: Node itself (`process.execPath`). */
  readonly nodePath: string
  /** 169.254.169.254 unless given. */
  readonly address?: string
  /** 80 unless given. */
  readonly port?: number
  /** How long to wait for an answer; 1,500 ms unless given. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/**
 * Makes a network namespace, attaches it to the node as a pod is, and opens a connection to the metadata address from
 * there; our counters say where it went. Nothing is sent on that connection. Needs CAP_SYS_ADMIN for the namespace;
 * everything made is gone afterwards.
 */
export async function probeInterception(options: ProbeOptions): Promise<ProbeResult> {
  const { runner, random, now, sources, counters, signal } = options
  const id = Math.floor(random() * 0xff_ffff)
    .toString(16)
    .padStart(6, '0')
  const run = (file: string, args: readonly string[], input?: string): Promise<CommandResult> =>
    runner.run(file, args, { ...(input !== undefined && { input }), ...(signal && { signal }) })
  try {
    const attachment = await chooseAttachment(run, sources, id)
    if ('impossible' in attachment) return { outcome: 'impossible', reason: attachment.impossible }
    const scratch = {
      ...attachment,
      namespace: probeNamespace(now, id),
      octet: 2 + Math.floor(random() * 250),
    }
    try {
      // Without the signal too: a command that was killed half-way may still be making what is already being removed.
      const refused = await attach(
        (file, args, input) => runner.run(file, args, input === undefined ? {} : { input }),
        scratch,
      )
      if (signal?.aborted === true) throw aborted(signal)
      if (refused !== undefined) return { outcome: 'impossible', reason: refused }
      const before = await counters()
      const exitCode = await connect(run, scratch, options)
      return judge(exitCode, before, await counters(), scratch)
    } finally {
      // Without the signal: what was made has to go even when nobody wants the answer any more.
      await detach(runner, scratch)
    }
  } catch (error) {
    if (isCoded(error, 'COMMAND_MISSING') || isCoded(error, 'COMMAND_DENIED'))
      return { outcome: 'impossible', reason: error.message }
    throw error
  }
}

type Run = (file: string, args: readonly string[], input?: string) => Promise<CommandResult>

interface Attachment {
  /** Name of the node's end. */
  readonly hostEnd: string
  /** The bridge that it becomes a port of. */
  readonly bridge?: string
}

interface Scratch extends Attachment {
  readonly namespace: string
  readonly octet: number
}

async function chooseAttachment(
  run: Run,
  sources: readonly CaptureSource[],
  id: string,
): Promise<Attachment | { impossible: string }> {
  let reason = 'pods are known by address range only, of which a probe cannot take one'
  for (const source of sources) {
    if (source.kind === 'any') return { hostEnd: `k2ih${id}` }
    if (source.kind === 'cidr') continue
    const { name, negated } = source.match
    if (negated) return { hostEnd: `k2ih${id}` }
    if (name.endsWith('+')) return { hostEnd: `${name.slice(0, -1)}${id}`.slice(0, 15) }
    const { stdout } = await run('ip', ['-json', '-details', 'link', 'show', 'dev', name])
    if (/"info_kind": ?"bridge"/.test(stdout)) return { hostEnd: `k2ih${id}`, bridge: name }
    reason = `${name} is no bridge that a probe could be attached to`
  }
  return { impossible: reason }
}

/** The far end of the link-local range, of which no network hands out addresses (RFC 3927). */
const probeAddress = ({ octet }: Scratch): string => `169.254.252.${octet}`
const GATEWAY = '169.254.252.1'

/** Resolves with why it cannot be done, or with nothing. */
async function attach(run: Run, scratch: Scratch): Promise<string | undefined> {
  const { namespace, hostEnd, bridge } = scratch
  const towards = bridge ?? hostEnd
  const made = await run('ip', ['netns', 'add', namespace])
  if (made.exitCode !== 0) return `no network namespace can be made: ${made.stderr.trim()}`
  const host = await run(
    'ip',
    ['-batch', '-'],
    [
      `link add ${hostEnd} type veth peer name eth0 netns ${namespace}`,
      ...(bridge === undefined ? [] : [`link set ${hostEnd} master ${bridge}`]),
      `link set ${hostEnd} up`,
      `route add ${probeAddress(scratch)}/32 dev ${towards}`,
      '',
    ].join('\n'),
  )
  if (host.exitCode !== 0) return `the probe cannot be attached: ${host.stderr.trim()}`
  const { stdout } = await run('ip', ['-json', 'link', 'show', 'dev', towards])
  const mac = /"address": ?"([0-9a-f:]{17})"/.exec(stdout)?.[1]
  if (mac === undefined) return `the probe cannot be attached: ${towards} has no hardware address`
  const inside = await run(
    'ip',
    ['-n', namespace, '-batch', '-'],
    [
      'link set eth0 up',
      `address add ${probeAddress(scratch)}/32 dev eth0`,
      `route add ${GATEWAY}/32 dev eth0 scope link`,
      // The gateway is nobody's address: its neighbour entry makes every packet go to the node.
      `neighbour add ${GATEWAY} lladdr ${mac} dev eth0`,
      `route add default via ${GATEWAY} dev eth0`,
      '',
    ].join('\n'),
  )
  return inside.exitCode === 0 ? undefined : `the probe cannot be set up: ${inside.stderr.trim()}`
}

async function detach(runner: CommandRunner, { namespace, hostEnd }: Scratch): Promise<void> {
  try {
    await runner.run('ip', ['link', 'delete', hostEnd])
  } finally {
    await runner.run('ip', ['netns', 'delete', namespace])
  }
}

const CONNECT = `
const [, host, port, ms] = process.argv
const socket = require('node:net').connect({ host, port: Number(port) })
socket.once('connect', () => process.exit(0))
socket.once('error', (error) => process.exit(error.code === 'ECONNREFUSED' ? 3 : 4))
setTimeout(() => process.exit(5), Number(ms))
`

async function connect(run: Run, { namespace }: Scratch, options: ProbeOptions): Promise<number> {
  const { nodePath, address = '169.254.169.254', port = 80, timeoutMs = 1_500 } = options
  const args = [nodePath, '-e', CONNECT, address, String(port), String(timeoutMs)]
  return (await run('ip', ['netns', 'exec', namespace, ...args])).exitCode
}

function judge(
  exitCode: number,
  before: CaptureCounters,
  after: CaptureCounters,
  { hostEnd, bridge }: Scratch,
): ProbeResult {
  const where = `a probe on ${bridge ?? hostEnd}`
  const answered = exitCode === 0
  if (after.redirected > before.redirected) {
    const then = answered
      ? 'the agent answered'
      : exitCode === 3
        ? 'nobody listens there'
        : 'no answer came: is the port closed by a firewall?'
    return { outcome: 'intercepted', answered, evidence: `${where} was redirected; ${then}` }
  }
  if (answered)
    return { outcome: 'exposed', evidence: `${where} was answered by somebody, and not through our redirect` }
  if (after.dropped > before.dropped)
    return { outcome: 'dropped', evidence: `${where} came past the redirect and was dropped by the guard` }
  return { outcome: 'lost', evidence: `${where} met none of our rules and no answer came` }
}
