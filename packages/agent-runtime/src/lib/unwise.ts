import { parseMetadataAllow } from '@kube2iam-ts/metadata-emulator'
import { sharesPort } from './listeners.ts'
import type { AgentSettings } from './settings/settings.ts'

/** What was asked for and is allowed, and what somebody should know about it. */
export function unwiseSettings(settings: AgentSettings): readonly { setting: string; why: string }[] {
  const rows: (readonly [boolean, string, string])[] = [
    [
      sharesPort(settings),
      '--metrics-port',
      'it is the port that pods reach, so that they can read metrics; give it one of its own',
    ],
    [
      settings.bindAddress === undefined && settings.hostIp === undefined,
      '--bind-address',
      'every address of the node is listened on; give --host-ip or --bind-address',
    ],
    [settings.insecure, '--insecure', "the API server's certificate is not verified; use it in tests only"],
    [
      parseMetadataAllow(settings.metadataAllow).insecure !== undefined,
      '--metadata-allow',
      'pods can read everything of the node that is no credential, user data included; this is insecure',
    ],
    [
      settings.node === undefined,
      '--node',
      'the pods of the whole cluster are watched; give the name of this node',
    ],
    [
      settings.debug && sharesPort(settings),
      '--debug',
      '/debug/store is served on a --metrics-port of its own only',
    ],
    [
      settings.given.baseRoleArn !== undefined && settings.autoDiscoverDefaultRole,
      '--base-role-arn',
      'it is replaced by what --auto-discover-default-role finds, as in kube2iam',
    ],
    [
      settings.namespaceRestrictions === 'off',
      '--namespace-restrictions',
      'whoever may create pods may name any role that this node can assume; see audit and enforce',
    ],
  ]
  return rows.filter(([isSo]) => isSo).map(([, setting, why]) => ({ setting, why }))
}
