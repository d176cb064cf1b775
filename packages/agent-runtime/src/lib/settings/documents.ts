import { environmentName, type Flag, type FlagGroup } from './flag.ts'
import { flagRows } from './flags.ts'

const CHAPTERS: Readonly<Record<FlagGroup, string>> = {
  kubernetes: 'Kubernetes',
  roles: 'Which role a pod has',
  policy: 'What namespaces allow',
  sessions: 'Sessions',
  metadata: 'What pods are answered',
  listening: 'Where the agent listens',
  interception: "How pods' packets come to the agent",
  telemetry: 'Log, health and the file',
}

const rows: readonly Flag<unknown>[] = flagRows.map(([, flag]) => flag)
const code = (text: string): string => (text === '' ? '' : `\`${text.replaceAll('|', '\\|')}\``)
const cell = (text: string): string => text.replaceAll('|', '\\|')

/** docs/configuration.md: every setting, out of the table that the parser reads. */
export function renderConfiguration(): string {
  const chapters = Object.entries(CHAPTERS).map(([group, title]) => {
    const flags = rows.filter((flag) => flag.group === group).toSorted((a, b) => (a.name < b.name ? -1 : 1))
    return [
      `## ${title}`,
      '',
      '| flag | type | default | what it does |',
      '|---|---|---|---|',
      ...flags.map(
        ({ name, kind, default: initial, doc, example }) =>
          `| ${code(`--${name}`)} | ${cell(kind.label)} | ${code(initial)} | ${cell(doc)}${example === undefined ? '' : ` Example: ${code(example)}.`} |`,
      ),
      '',
    ].join('\n')
  })
  return `${CONFIGURATION_HEAD}\n${chapters.join('\n')}\n${CONFIGURATION_TAIL}`
}

const CONFIGURATION_HEAD = `# Configuration

<!-- Written by \`vitest run --project agent-runtime -u\` out of packages/agent-runtime/src/lib/settings/flags. -->

A setting is given on the command line (\`--app-port=8181\` or \`--app-port 8181\`; a bare \`--debug\` is true, and \`--debug=false\` is false), as an environment variable (\`${environmentName('app-port')}\`), or in the YAML file that \`--config\` names (\`app-port: 8181\`). The command line wins over the environment, and that over the file. Lists are separated by commas, repeat the flag, or are lists in the file. Durations are written as in Go: \`900ms\`, \`15m0s\`, \`1h30m\`.

An unknown flag, a value that cannot be, or two that cannot be meant together end with exit status 2 and one line that names the flag, what is wrong and what is right. Nothing was started or changed by then. Variables that Kubernetes makes for a Service named \`kube2iam\` (\`KUBE2IAM_PORT=tcp://…\`) are no settings.
`

const CONFIGURATION_TAIL = `## Rules

The file may hold rules beside the settings. A rule looks at the pods that its namespaces and service accounts match (\`*\` stands for anything); every rule that looks at a pod must let it pass, beside what the namespace's annotation says, and the shortest duration wins.

\`\`\`yaml
namespace-restrictions: enforce
session-tags: true
rules:
  - name: payments use their own roles, with an external ID
    namespaces: [payments, payments-*]
    allowedRoles: [payments/*]
    requireExternalId: true
    maxDurationSeconds: 3600
  - name: nobody else does
    namespaces: ['*']
    serviceAccounts: [ci]
    policyArns: ['arn:aws:iam::aws:policy/ReadOnlyAccess']
    mode: audit
\`\`\`

| key | meaning |
|---|---|
| \`name\` | for logs and explanations |
| \`namespaces\`, \`serviceAccounts\` | globs; all unless given |
| \`allowedRoles\` | patterns as in the \`allowed-roles\` annotation; any role unless given |
| \`requireExternalId\` | the pod must name an external ID |
| \`externalId\` | the external ID that is used; neither the pod nor another rule may name another |
| \`maxDurationSeconds\` | sessions last no longer: 900 to 43200 |
| \`policyArns\` | managed session policies, added to \`--session-policy-arns\` |
| \`mode\` | \`enforce\` (the default) or \`audit\`: the role is granted and the session made as if the rule were not there, and the log says what the rule would deny or change |

## The environment of AWS

\`AWS_REGION\`, \`AWS_DEFAULT_REGION\`, \`AWS_ENDPOINT_URL_STS\`, \`AWS_USE_FIPS_ENDPOINT\`, \`AWS_USE_DUALSTACK_ENDPOINT\`, \`AWS_STS_REGIONAL_ENDPOINTS\`, \`AWS_CA_BUNDLE\`, \`HTTPS_PROXY\`, \`NO_PROXY\` and the variables of the SDKs' credential chain mean what they mean everywhere. Where none names credentials, the agent uses the node's own role from \`--metadata-addr\`.
`

/** docs/parity.md: kube2iam's flags and behaviour, and where ours differs. */
export function renderParity(): string {
  const flags = rows
    .filter(({ kube2iam }) => kube2iam !== undefined)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, default: ours, kube2iam }) => {
      const theirs = kube2iam?.default ?? ours
      return `| ${code(`--${name}`)} | ${code(theirs)} | ${theirs === ours ? '' : ours === '' ? 'unset' : code(ours)} | ${cell(kube2iam?.difference ?? '')} |`
    })
  return `${PARITY_HEAD}\n${flags.join('\n')}\n\n${PARITY_TAIL}`
}

const PARITY_HEAD = `# Parity with kube2iam

<!-- The table of flags is written by \`vitest run --project agent-runtime -u\`. -->

Every flag of kube2iam 0.15 is taken, by the same name and with the same meaning, so that the arguments of an existing DaemonSet work unchanged. What differs on purpose is below, with the reason.

## Flags

| flag | default in kube2iam | default here | difference |
|---|---|---|---|`

const PARITY_TAIL = `An argument that belongs to no flag (\`--debug false\`) is refused; kube2iam ignores it, and \`--debug false\` switches debugging on.

## What a pod is answered

| question | kube2iam 0.15 | here | why |
|---|---|---|---|
| role list, pod without a role | 200, empty | 404, empty | an SDK takes an empty name for a role and asks for its document |
| role list, unknown address | 404 with a text, after 2 s | held until the pod is known, 900 ms at most, then 503, empty | clients remember 404 as "no role"; and they wait no longer than a second |
| role forbidden by the namespace | 404 with a text | 404, empty | the text names namespace and policy, and some clients take any text for a role name |
| another role than the pod's own | 403 with a text | 404, empty | as the metadata service answers for a role that it does not have |
| STS refuses | 500 with the text of STS | 200 with \`Code\` and \`Message\`; an empty 403 with \`--sts-denied-answer=forbidden\` | SDKs show \`Code\` and \`Message\`; a 500 is tried again without end |
| STS does not answer | 500 with the error | 503, empty; a session that is still valid is served on | |
| role list, role under the base ARN | path and name | the name | the metadata service lists names; the document is answered by either |
| role list, role of another account | the whole ARN | the name | the same; the ARN is accepted in the document's path |
| \`…/iam/security-credentials-extended/…\` | passed on: credentials of the node | the pod's own, with \`AccountId\` | SDK builds of June 2025 ask it first |
| \`…/iam/info\` | passed on: the node's profile | the pod's role | |
| everything else | passed on, any method, to anybody | an allow-list (\`--metadata-allow\`), to pods; \`kube2iam\` restores the rest, but for credentials | jtblin/kube2iam#129 |
| \`PUT /latest/api/token\` | passed on | answered here, and tokens are checked; \`--imds-tokens=required\` insists on them | tokens that are not checked protect from nothing |
| \`LastUpdated\` | local time marked as UTC | UTC | |

## Other routes

| route | kube2iam 0.15 | here |
|---|---|---|
| \`/healthz\` | host address and instance ID; 500 while the metadata service does not answer | \`ok\` from whoever is alive, on both ports; whether all is well is \`/readyz\` (jtblin/kube2iam#251) |
| \`/readyz\` | passed on | what works and what does not, with reasons |
| \`/metrics\` | on \`--metrics-port\` | the same; see metrics.md |
| \`/debug/store\` | with \`--debug\`, to anybody | with \`--debug\`, on a \`--metrics-port\` of its own, to the node itself (\`kubectl port-forward\`) |

## Sessions, rules and permissions

| matter | kube2iam 0.15 | here |
|---|---|---|
| what shares a session | all pods of a role, whatever their external ID | nothing but pods whose session would be the same in every respect; by default each pod has its own. \`--session-scope=role\` shares |
| session name | hash of the address, role | namespace, pod |
| duration | twice \`--iam-role-session-ttl\`, half of it used | at least an hour, renewed at half life |
| patterns of namespaces | match anywhere in the ARN | match the whole ARN, part by part |
| EC2 API | \`ec2:DescribeRegions\` before the first session | never called |
| iptables | one rule, added once | own chains, kept; IPv6; guards in three places, one of them outside of netfilter (\`ip rule\`); removed on uninstall only |
| IPv6 | \`fd00:ec2::254\` is left to the node's own service: its role, to every pod | served where \`--host-ip\` has an address of the node of that family; blocked for pods otherwise |
| Kubernetes permissions | pods, namespaces: list and watch | the same, and what the features that are switched on need: see deploy/kustomize |
`
