import type { Cidr } from '@kube2iam-ts/core'
import { parseMetadataAllow } from '@kube2iam-ts/metadata-emulator'
import type { SettingName } from './flags.ts'
import type { AgentSettings } from './settings.ts'

/** Settings that are each right and cannot be meant together. */
export interface Contradiction {
  /** The setting that is named, and blamed for where it was given. */
  readonly setting: SettingName
  readonly when: (settings: AgentSettings) => boolean
  readonly wrong: string
  readonly right: string
}

const chosenBySystem = (settings: AgentSettings, port: number | undefined): boolean =>
  port === 0 && settings.portsFile === undefined

/** Whether a range is every address of its family. */
export const isEverybody = (range: Cidr): boolean => range.text.endsWith('/0')

export const CONTRADICTIONS: readonly Contradiction[] = [
  {
    setting: 'autoDiscoverBaseArn',
    when: (is) => is.autoDiscoverBaseArn === true && is.baseRoleArn !== undefined,
    wrong: 'cannot be used when --base-role-arn is given',
    right: 'remove one of the two',
  },
  {
    setting: 'autoDiscoverDefaultRole',
    when: (is) => is.autoDiscoverDefaultRole && is.defaultRole !== undefined,
    wrong: 'cannot be used when --default-role is given',
    right: 'remove one of the two',
  },
  {
    setting: 'iptables',
    when: (is) => is.iptables && is.hostIps.length === 0,
    wrong: 'needs to know where to send packets to',
    right: 'give --host-ip, in a DaemonSet status.hostIP or status.hostIPs',
  },
  {
    setting: 'iptablesCleanup',
    when: (is) => is.iptablesCleanup !== 'auto' && !is.iptables,
    wrong: 'is about rules that are not asked for',
    right: 'give --iptables too, or remove it',
  },
  {
    setting: 'iamRoleSessionTtl',
    when: (is) => is.iamRoleSessionTtl !== undefined && is.sessionDuration !== undefined,
    wrong: 'cannot be used when --session-duration is given',
    right: 'keep --session-duration, which is the duration itself',
  },
  {
    setting: 'sessionTransitiveTags',
    when: (is) => is.sessionTransitiveTags && !is.sessionTags,
    wrong: 'is about tags that are not asked for',
    right: 'give --session-tags too, or remove it',
  },
  {
    setting: 'nodeTaint',
    when: (is) => is.nodeTaint !== undefined && is.node === undefined,
    wrong: 'needs to know which node it is',
    right: 'give --node, in a DaemonSet spec.nodeName',
  },
  {
    setting: 'allowCidr',
    when: (is) =>
      is.allowCidr.some(isEverybody) && parseMetadataAllow(is.metadataAllow).insecure !== undefined,
    wrong: 'holds every address, and --metadata-allow=kube2iam everything that the node can read',
    right: 'give the ranges that are meant, or name what may be read',
  },
  {
    setting: 'apiToken',
    when: (is) => is.apiToken !== undefined && is.apiServer === undefined,
    wrong: 'is a token for no server',
    right: 'give --api-server too, or remove it',
  },
  {
    setting: 'apiTokenFile',
    when: (is) => is.apiTokenFile !== undefined && is.apiServer === undefined,
    wrong: 'is a token for no server',
    right: 'give --api-server too, or remove it',
  },
  {
    setting: 'apiTokenFile',
    when: (is) => is.apiTokenFile !== undefined && is.apiToken !== undefined,
    wrong: 'cannot be used when --api-token is given',
    right: 'remove one of the two',
  },
  {
    setting: 'apiServerCaFile',
    when: (is) => is.apiServerCaFile !== undefined && is.apiServer === undefined,
    wrong: 'is the authority of no server',
    right: 'give --api-server too, or remove it',
  },
  {
    setting: 'apiServerCaFile',
    when: (is) => is.apiServerCaFile !== undefined && is.insecure,
    wrong: 'verifies nothing when --insecure is given',
    right: 'remove one of the two',
  },
  {
    setting: 'appPort',
    when: (is) => chosenBySystem(is, is.appPort),
    wrong: '"0" is a port that nobody could find',
    right: 'give a number from 1 to 65535, or --ports-file with 0',
  },
  {
    setting: 'metricsPort',
    when: (is) => chosenBySystem(is, is.metricsPort),
    wrong: '"0" is a port that nobody could find',
    right: 'give a number from 1 to 65535, or --ports-file with 0',
  },
  {
    setting: 'containerCredentialsPort',
    when: (is) => chosenBySystem(is, is.containerCredentialsPort),
    wrong: '"0" is a port that nobody could find',
    right: 'give a number from 1 to 65535, or --ports-file with 0',
  },
  {
    setting: 'containerCredentialsPort',
    when: (is) =>
      is.containerCredentialsPort !== undefined &&
      is.containerCredentialsPort !== 0 &&
      (is.containerCredentialsPort === is.appPort || is.containerCredentialsPort === is.metricsPort),
    wrong: 'is the port of something else too',
    right: 'give one that neither --app-port nor --metrics-port has',
  },
  {
    setting: 'iptables',
    when: (is) => is.iptables && is.appPort === 0,
    wrong: 'cannot redirect to a port that changes with every start',
    right: 'give --app-port a number from 1 to 65535',
  },
]
