import type { Report } from '@kube2iam-ts/core'
import type { TokenServiceEvent } from '@kube2iam-ts/credential-broker'
import type { LogLevel } from './log.ts'
import type { Output } from './output.ts'

const LINES: Readonly<Record<TokenServiceEvent['kind'], readonly [LogLevel, string]>> = {
  'node-identified': ['info', 'STS knows the agent'],
  'warm-up-failed': ['warn', 'STS cannot be warmed up'],
  'node-credentials-replaced': ['info', "the agent's own credentials are replaced"],
  'clock-corrected': ['warn', "requests to STS are dated by STS's clock"],
  'clock-right-again': ['info', "requests to STS are dated by the node's clock again"],
  'tags-left-out': ['warn', 'session is issued without tags'],
  'duration-clamped': ['warn', 'session is shorter than asked for'],
  'region-replaced': ['warn', 'STS is asked in another region'],
}

/** Who the agent is, that it could not be told, and what is as it should be again adapt nothing. */
const NO_ADAPTATIONS: ReadonlySet<TokenServiceEvent['kind']> = new Set([
  'node-identified',
  'warm-up-failed',
  'clock-right-again',
])

/** What happens between the broker and STS. */
export function createTokenServiceTelemetry({
  log,
  metrics,
}: Pick<Output, 'log' | 'metrics'>): Report<TokenServiceEvent> {
  return ({ kind, ...fields }) => {
    const [level, message] = LINES[kind]
    if (!NO_ADAPTATIONS.has(kind)) metrics.stsAdaptations.inc({ kind })
    log.write(level, message, fields)
  }
}
