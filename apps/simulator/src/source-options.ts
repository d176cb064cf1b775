import type { Argv } from 'yargs'
import type { CheckSources } from './check/inputs.ts'

/** Where a report goes. */
export const OUTPUT = {
  type: 'string',
  alias: 'o',
  requiresArg: true,
  describe: 'Write the report to this file',
} as const

/** What `check` and `explain` read. Everything after `--` is the agent's own arguments. */
export const withSources = <T>(command: Argv<T>) =>
  command
    .positional('manifests', {
      type: 'string',
      array: true,
      describe: 'Kubernetes manifests (files, patterns, folders), or what kubectl get -o yaml wrote',
    })
    .option('iam', {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'IAM documents (get-account-authorization-details)',
    })
    .option('daemonset', {
      type: 'string',
      requiresArg: true,
      describe: 'Manifest with the agent’s DaemonSet, for its arguments',
    })
    .option('scenario', {
      type: 'string',
      requiresArg: true,
      describe: 'A scenario file, for cluster, aws and agent',
    })
    .option('node-role', { type: 'string', requiresArg: true, describe: 'ARN of the nodes’ role' })
    .option('org-id', {
      type: 'string',
      requiresArg: true,
      describe: 'The organization of the accounts, for trust policies that ask for it',
    })

interface ParsedSources {
  readonly manifests: string[] | undefined
  readonly iam: string[] | undefined
  readonly daemonset: string | undefined
  readonly scenario: string | undefined
  readonly nodeRole: string | undefined
  readonly orgId: string | undefined
  readonly '--'?: unknown
}

/** The same as the commands take it. */
export const sourcesOf = (parsed: ParsedSources): CheckSources => ({
  manifests: parsed.manifests ?? [],
  iam: parsed.iam ?? [],
  daemonset: parsed.daemonset,
  scenario: parsed.scenario,
  nodeRole: parsed.nodeRole,
  organizationId: parsed.orgId,
  args: Array.isArray(parsed['--']) ? parsed['--'].map(String) : [],
})
