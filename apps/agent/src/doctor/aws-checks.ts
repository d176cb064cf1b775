import { type AgentSettings, createDiscoveredPolicy } from '@kube2iam-ts/agent-runtime'
import {
  type Grant,
  ignoreReports,
  isCoded,
  type NamespaceRecord,
  type PodIdentity,
  systemClock,
} from '@kube2iam-ts/core'
import type { TokenServiceEvent } from '@kube2iam-ts/credential-broker'
import type { Upstream } from '@kube2iam-ts/metadata-emulator'
import { createInstanceMetadata } from '@kube2iam-ts/metadata-emulator/node'
import { createSts } from '../sts.ts'
import { type Environment, metadataOrigin } from '../wire.ts'
import { broken, doubtful, type Finding, fine, reasonOf, untold } from './finding.ts'

export interface AwsCheckOptions {
  readonly settings: AgentSettings
  readonly environment: Environment
  readonly pods: readonly PodIdentity[]
  readonly namespaces: readonly NamespaceRecord[]
}

/** A session with it can do nothing: assuming a role with it tells whether the role can be assumed, and no more. */
const DENY_ALL = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }],
})
/** The shortest that STS issues. */
const SECONDS = 900
const MOST_ROLES = 50
/** SDKs distrust credentials, and STS signatures, when clocks differ by minutes. */
const SKEW_MS = 60_000

/** The metadata service, STS, the clock, and whether each annotated role can be had. */
export async function checkAws(options: AwsCheckOptions): Promise<readonly Finding[]> {
  const { settings, environment } = options
  const origin = metadataOrigin(settings)
  const upstream = createInstanceMetadata({ origin, clock: systemClock, report: ignoreReports })
  const told: TokenServiceEvent[] = []
  const sts = createSts({
    settings,
    environment,
    origin,
    clock: systemClock,
    upstream,
    report: (event) => told.push(event),
  })
  const signal = AbortSignal.timeout(30_000)
  try {
    const findings = [await checkMetadata(upstream, origin, signal), ...(await checkTokens(origin, signal))]
    await sts.warmUp(signal)
    const known = told.find((event) => event.kind === 'node-identified')
    if (known?.kind !== 'node-identified') {
      const failed = told.find((event) => event.kind === 'warm-up-failed')
      const reason =
        failed?.kind === 'warm-up-failed' ? `${failed.code}: ${failed.message}` : 'it does not answer'
      return [
        ...findings,
        broken(
          'sts',
          reason,
          "give the node an instance profile, or the agent credentials; look at --sts-endpoint, --region and the node's way to STS",
        ),
      ]
    }
    findings.push(fine('sts', `STS knows the agent as ${known.arn}`))
    const { grants, denied } = await grantsOf(options, upstream, signal)
    findings.push(...denied)
    let skewMs: number | undefined
    for (const grant of grants.slice(0, MOST_ROLES)) {
      const { finding, skew } = await checkRole(grant, sts.assumeRole, signal)
      findings.push(finding)
      skewMs ??= skew
    }
    if (skewMs !== undefined) findings.push(clockFinding(skewMs))
    return findings
  } finally {
    await sts.close?.()
    await upstream.close()
  }
}

async function checkMetadata(upstream: Upstream, origin: string, signal: AbortSignal): Promise<Finding> {
  try {
    const { status } = await upstream.get('/latest/meta-data/iam/info', { signal })
    if (status === 200) return fine('metadata-service', `${origin} names the role of the node`)
    return doubtful(
      'metadata-service',
      `${origin} answers ${status}: the node has no instance profile`,
      'give the node one, or the agent credentials and --base-role-arn',
    )
  } catch (error) {
    return doubtful(
      'metadata-service',
      reasonOf(error),
      'look at --metadata-addr; off EC2 set --base-role-arn and --region',
    )
  }
}

const HARDEN =
  'aws ec2 modify-instance-metadata-options --instance-id … --http-tokens required --http-put-response-hop-limit 1'

/**
 * Pods that bypass the rules are stopped by a limit of 1 (docs.aws.amazon.com/AWSEC2/latest/UserGuide/
 * configuring-instance-metadata-options.html). The metadata does not hold it, every limit is enough for the node
 * itself, and the TTL that the answer with the token comes with is not shown to the socket that reads it. A try from
 * where pods are would meet the agent's rules. EC2 itself can say, and the agent has no permission to ask it.
 */
const HOP_LIMIT: Finding = untold(
  'hop-limit',
  "not measured: neither the node's metadata service nor a plain connection to it shows its hop limit",
  `see HttpPutResponseHopLimit in aws ec2 describe-instances --query 'Reservations[].Instances[].MetadataOptions', and set it to 1, where all that needs the node's role uses the host's network: ${HARDEN}`,
)

/** Where the node's service answers without a token, whatever reaches it gets the node's role by one plain GET. */
async function checkTokens(origin: string, signal: AbortSignal): Promise<readonly Finding[]> {
  const check = 'metadata-tokens'
  try {
    const answer = await fetch(`${origin}/latest/meta-data/`, { signal, redirect: 'manual' })
    await answer.arrayBuffer()
    const finding =
      answer.status === 200
        ? doubtful(check, "the node's metadata service answers without a token", HARDEN)
        : fine(check, "the node's metadata service insists on tokens")
    return [finding, HOP_LIMIT]
  } catch {
    return [fine(check, 'there is no metadata service to protect')]
  }
}

/** One grant for each role that pods of this node may have, and what is wrong with the annotations of the others. */
async function grantsOf(
  { settings, pods, namespaces }: AwsCheckOptions,
  upstream: Upstream,
  signal: AbortSignal,
): Promise<{ grants: readonly Grant[]; denied: readonly Finding[] }> {
  const policy = createDiscoveredPolicy({
    settings,
    upstream,
    clock: systemClock,
    random: Math.random,
    report: ignoreReports,
    onChange: () => {},
  })
  try {
    await policy.discover(AbortSignal.any([signal, AbortSignal.timeout(2_000)]))
  } catch {
    // Said by the check of the metadata service.
  }
  await policy.current().prepare()
  const byRole = new Map<string, Grant>()
  const denied: Finding[] = []
  for (const pod of pods) {
    const namespace = namespaces.find(({ name }) => name === pod.namespace)
    const identifiedBy = pod.hostNetwork && settings.containerCredentials ? 'token' : 'address'
    const decision = policy
      .current()
      .decide({ pod, namespace, serviceAccount: undefined, requested: undefined, identifiedBy })
    if (decision.kind === 'granted') byRole.set(decision.role.text, decision.grant)
    const isSilent = decision.kind !== 'denied' || decision.code === 'no-role'
    const isHost = decision.kind === 'denied' && decision.code === 'host-network'
    if (isSilent || (isHost && pod.annotations[settings.iamRoleKey] === undefined)) continue
    denied.push(
      doubtful('annotation', decision.message, `kube2iam explain --pod ${pod.namespace}/${pod.name}`),
    )
  }
  return { grants: [...byRole.values()], denied }
}

async function checkRole(
  grant: Grant,
  assumeRole: ReturnType<typeof createSts>['assumeRole'],
  signal: AbortSignal,
): Promise<{ finding: Finding; skew: number | undefined }> {
  const dry: Grant = {
    ...grant,
    policy: DENY_ALL,
    policyArns: [],
    durationSeconds: SECONDS,
    sessionName: 'kube2iam-doctor',
  }
  try {
    const { serverTime } = await assumeRole(dry, { signal })
    const skew = serverTime === undefined ? undefined : serverTime.getTime() - systemClock.now()
    return { finding: fine('role', `${grant.role.text} can be assumed`), skew }
  } catch (error) {
    if (!isCoded(error)) throw error
    const remedy =
      error.code === 'STS_DENIED'
        ? "let the role's trust policy name the agent's, and the agent's policy allow sts:AssumeRole (and sts:TagSession with --session-tags) on the role"
        : 'see the message; try again when STS can be reached'
    return { finding: broken('role', `${grant.role.text}: ${error.message}`, remedy), skew: undefined }
  }
}

const clockFinding = (skewMs: number): Finding =>
  Math.abs(skewMs) < SKEW_MS
    ? fine('clock', `the clock of this node and that of STS differ by ${Math.round(skewMs / 1_000)} s`)
    : broken(
        'clock',
        `the clock of this node and that of STS differ by ${Math.round(skewMs / 1_000)} s`,
        'let the node keep time by NTP (169.254.169.123 on EC2)',
      )
