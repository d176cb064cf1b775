import type { BypassRun } from './bypass.ts'

type Case = Omit<BypassRun, 'seed' | 'count'> & { readonly name: string }

const VERSION = String.raw`\/(?:latest|1\.0|\d{4}-\d\d-\d\d)`
const SAFE = String.raw`(?:placement\/(?:region|availability-zone|availability-zone-id)|services\/(?:domain|partition)|instance-type|instance-life-cycle|spot\/(?:instance-action|termination-time)|events\/maintenance\/(?:history|scheduled)|events\/recommendations\/rebalance|autoscaling\/target-lifecycle-state)`

/** What is attacked, from the default to the least safe setting there is. */
export const bypassCases: readonly Case[] = [
  {
    name: 'all-safe',
    allow: ['all-safe'],
    leak: /canary/i,
    mayAsk: new RegExp(`^${VERSION}/meta-data/${SAFE}$`),
  },
  {
    name: 'every preset',
    allow: ['region', 'placement', 'instance', 'network', 'spot', 'tags', 'all-safe'],
    leak: /canary/i,
    mayAsk: new RegExp(
      `^${VERSION}/meta-data/(?:${SAFE}|placement/[a-z-]+|ami-id|ami-launch-index|hostname|instance-id|local-hostname|reservation-id|mac|network/interfaces/macs(?:/[0-9a-f:]{17}/[a-z0-9-]+)?|security-groups|ipv6|(?:local|public)-(?:ipv4|hostname)|tags/instance(?:/[A-Za-z0-9_.:@+=,-]+)?)$`,
    ),
  },
  {
    name: 'kube2iam',
    allow: ['kube2iam'],
    // User-data and signed documents are what this setting gives away; credentials it does not.
    leak: /canary\/|ASIACANARY|AIPACANARY|canary-node-role/i,
    mayAsk: new RegExp(
      `^${VERSION}(?!.*(?:/\\.{1,2}(?:/|$)|credential|/iam(?:/|$)|/api(?:/|$)))(?:/[A-Za-z0-9_.:@+=,-]+)+$`,
      'i',
    ),
  },
]
