import type { Flag } from './flag.ts'
import { interceptionFlags, telemetryFlags } from './flags/interception.ts'
import { kubernetesFlags } from './flags/kubernetes.ts'
import { listeningFlags, metadataFlags } from './flags/metadata.ts'
import { policyFlags, roleFlags } from './flags/roles.ts'
import { sessionFlags } from './flags/sessions.ts'

/** Every setting of the agent, by the name of its value in `AgentSettings`. The single source: parser, help and documents read it. */
export const FLAGS = {
  ...kubernetesFlags,
  ...roleFlags,
  ...policyFlags,
  ...sessionFlags,
  ...metadataFlags,
  ...listeningFlags,
  ...interceptionFlags,
  ...telemetryFlags,
} as const

type Table = typeof FLAGS
export type SettingName = keyof Table
type ValueOf<Row> = Row extends Flag<infer Value> ? Value : never

/** A value for every flag. Durations are milliseconds. */
export type FlagValues = { readonly [Name in SettingName]: ValueOf<Table[Name]> }

/** The rows, for whoever treats them alike. */
export const flagRows: readonly (readonly [SettingName, Flag<unknown>])[] = Object.entries(FLAGS) as [
  SettingName,
  Flag<unknown>,
][]
