import fc from 'fast-check'
import { ADDRESSES, beginHistory, type HistoryOptions, NAMES, type Step } from './model.ts'

const name = fc.nat({ max: NAMES - 1 })
const address = fc.nat({ max: ADDRESSES - 1 })
const on = fc.boolean()

const podStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('create' as const),
      name,
      address,
      hostNetwork: fc.nat(9).map((n) => n === 0),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), name }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('recreate' as const), name, address }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('move' as const), name, address }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('finish' as const),
      name,
      phase: fc.constantFrom('Succeeded' as const, 'Failed' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('terminate' as const), name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('resandbox' as const), name }) },
)

const faultStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('kubelet-behind' as const), on }),
  fc.record({ kind: fc.constant('drop' as const) }),
  fc.record({ kind: fc.constant('stall' as const), on }),
  fc.record({ kind: fc.constant('compact' as const) }),
  fc.record({ kind: fc.constant('expire' as const) }),
  fc.record({ kind: fc.constant('omit' as const), name: fc.option(name, { nil: undefined }) }),
  fc.record({ kind: fc.constant('outage' as const), on }),
  fc.record({
    kind: fc.constant('fail' as const),
    on: fc.constantFrom('list' as const, 'watch' as const),
    status: fc.constantFrom(410 as const, 429 as const, 500 as const, 503 as const),
    count: fc.integer({ min: 1, max: 6 }),
  }),
  fc.record({ kind: fc.constant('duplicate' as const), on }),
  fc.record({ kind: fc.constant('reorder' as const), on }),
  fc.record({ kind: fc.constant('slow' as const), ms: fc.constantFrom(0, 50, 5000) }),
)

const waitStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('wait' as const),
  ms: fc.constantFrom(1, 30, 400, 3000, 30_000),
})

export const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: podStep },
    { weight: 3, arbitrary: faultStep },
    { weight: 2, arbitrary: waitStep },
  ),
  { minLength: 1, maxLength: 30 },
)

/** Nothing fails: pods come and go at one or two addresses while the watch or the kubelet is silent. */
const quietSteps = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('create' as const),
        name,
        address: fc.nat({ max: 1 }),
        hostNetwork: fc.constant(false),
      }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('delete' as const), name }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('resandbox' as const), name }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('stall' as const), on }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('kubelet-behind' as const), on }) },
    { weight: 3, arbitrary: waitStep },
  ),
  { minLength: 4, maxLength: 20 },
)

/** What of the agent's sources a registry has, and the name of that. */
export const HISTORY_KINDS: readonly (readonly [string, HistoryOptions])[] = [
  ['by the watch alone', { confirm: false, evidence: false }],
  ['with direct confirmation', { confirm: true, evidence: false }],
  ['with the node’s evidence', { confirm: false, evidence: true }],
  [
    'with the node’s evidence and direct confirmation where it contradicts',
    { confirm: 'where the node contradicts', evidence: true },
  ],
  ['with the node’s evidence and direct confirmation', { confirm: true, evidence: true }],
]

/** Plays so many random histories; a failure names the seed and the shortest history that shows it. */
export async function playHistories(numRuns: number, seed: number, options: HistoryOptions): Promise<void> {
  await fc.assert(
    fc.asyncProperty(
      options.evidence ? fc.oneof(steps, quietSteps) : steps,
      fc.integer(),
      async (history, random) => {
        const world = await beginHistory(random, options)
        try {
          for (const step of history) await world.apply(step)
          await world.quiesce()
        } finally {
          await world.close()
        }
      },
    ),
    { numRuns, seed },
  )
}
