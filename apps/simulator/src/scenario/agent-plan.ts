import type { Position } from './yaml-source.ts'

/** Where a setting was written. */
export interface Place {
  readonly at: Position
  readonly path: string
}

/** How the agents of a scenario are set up, not read yet. */
export interface AgentPlan {
  readonly args: readonly string[]
  /** Policy rules. */
  readonly rules: unknown
  readonly env: Readonly<Record<string, string>>
  /** Of flags (`--app-port`), variables, and `rules`; what is not here came from somewhere else. */
  readonly places: ReadonlyMap<string, Place>
}

/** `--app-port=1`, `-v`, `--no-iptables`: the flag alone. */
export const flagOf = (arg: string): string => arg.split('=')[0] ?? arg
