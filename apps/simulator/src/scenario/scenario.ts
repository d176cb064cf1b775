import { agentShape, awsShape, clusterShape } from './cluster-shape.ts'
import { object, optional, required } from './object-shape.ts'
import type { JsonSchema, ValueOf } from './shape.ts'
import { list, scalar, text, whole } from './shape.ts'
import { invariantsShape, stepShape } from './step-shape.ts'

export const SCENARIO_VERSION = 1

/** The file format. Keys are only ever added within a version. */
export const scenarioShape = object(
  {
    version: required(
      scalar({
        expected: `the format's version, ${SCENARIO_VERSION}`,
        schema: { const: SCENARIO_VERSION },
        parse: (value) => (value === SCENARIO_VERSION ? { value: SCENARIO_VERSION } : undefined),
      }),
      'The version of this format.',
    ),
    name: required(text(), 'What the scenario is called in reports.'),
    shows: optional(text(), 'What it shows, and the public issue that it answers.'),
    seed: optional(whole(0, 4_294_967_295), 'Jitter and names come from this; 1 unless told.'),
    start: optional(
      scalar({
        expected: 'an instant such as 2026-01-01T00:00:00Z',
        schema: { type: 'string', format: 'date-time' },
        parse: (value) => {
          const milliseconds = typeof value === 'string' ? Date.parse(value) : Number.NaN
          return Number.isNaN(milliseconds) ? undefined : { value: new Date(milliseconds) }
        },
      }),
      'When it begins; 2026-01-01T00:00:00Z unless told.',
    ),
    cluster: optional(clusterShape, 'The cluster at the start.'),
    aws: optional(awsShape, 'Accounts and roles.'),
    agent: optional(agentShape, 'How the agent is set up.'),
    invariants: optional(invariantsShape, 'What must hold throughout.'),
    steps: optional(list(stepShape, { max: 5000 }), 'What happens, one after the other.'),
  },
  { expected: 'a scenario' },
)

export type ScenarioFile = ValueOf<typeof scenarioShape>
export type Step = NonNullable<ScenarioFile['steps']>[number]
export type ClusterPart = NonNullable<ScenarioFile['cluster']>
export type AwsPart = NonNullable<ScenarioFile['aws']>
export type AgentPart = NonNullable<ScenarioFile['agent']>
export type RequestPart = Extract<Step, { kind: 'request' }>['value']
export type Expectation = NonNullable<Step['shared']['expect']>

/** The JSON Schema of a scenario file (2020-12), for editors. */
export function scenarioSchema(): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://unpkg.com/@kube2iam-ts/simulator/schema/scenario.schema.json',
    title: 'kube2iam-sim scenario',
    ...scenarioShape.schema,
  }
}
