import { grantKey, parseBaseArn } from '@kube2iam-ts/core'
import { aNamespace, aPod } from '@kube2iam-ts/core/testing'
import { createPolicy, type DecisionInput, type PolicySettings } from '@kube2iam-ts/role-policy'
import { median, type Table } from './table.ts'

const base = parseBaseArn('arn:aws:iam::123456789012:role/')
const annotated = (annotations: Record<string, string>) => aNamespace({ annotations })

const input = (role: string, namespace: Record<string, string>): DecisionInput => ({
  pod: aPod({ name: 'web-6b8f7c9d5-x2x4z', annotations: { 'iam.amazonaws.com/role': role } }),
  namespace: annotated(namespace),
  serviceAccount: undefined,
  requested: 'app',
})

/** Microseconds for one call, the median of several rounds. */
function microseconds(calls: number, call: (index: number) => void): number {
  for (let index = 0; index < calls; index += 1) call(index)
  const rounds = Array.from({ length: 9 }, () => {
    const from = performance.now()
    for (let index = 0; index < calls; index += 1) call(index)
    return ((performance.now() - from) * 1000) / calls
  })
  return median(rounds)
}

/** What a decision costs, and that no pattern's cost grows faster than the role that it is matched with. */
export async function run(): Promise<Table> {
  const globs: PolicySettings = { base, namespaceRestrictions: 'enforce' }
  const expressions: PolicySettings = {
    ...globs,
    namespaceRestrictionFormat: 'regexp',
    rules: [{ allowedRoles: ['*'] }, { namespaces: ['payments-*'], allowedRoles: ['payments/*'] }],
    session: { tags: true, clusterName: 'prod' },
  }
  const allowedRoles = 'iam.amazonaws.com/allowed-roles'
  const cases = [
    { name: 'namespace restrictions off', settings: { base }, asked: input('app', {}) },
    {
      name: 'allowed-roles as globs',
      settings: globs,
      asked: input('app', { [allowedRoles]: '["team/*", "a*"]' }),
    },
    {
      name: 'as expressions, two rules, session tags',
      settings: expressions,
      asked: input('app', { [allowedRoles]: '["team/.*", "a.*"]' }),
    },
  ]
  const figures: Table['figures'][number][] = []
  for (const { name, settings, asked } of cases) {
    const policy = createPolicy(settings)
    await policy.prepare()
    const cold = microseconds(20_000, () => void policy.decide({ ...asked, pod: { ...asked.pod } }))
    const warm = microseconds(200_000, () => void policy.decide(asked))
    figures.push(
      { what: `decision about a new record: ${name}`, value: cold, unit: 'µs', aim: { atMost: 100 } },
      { what: 'decision about the same record again', value: warm, unit: 'µs', aim: { atMost: 1 } },
    )
    const decision = policy.decide(asked)
    if (decision.kind !== 'granted') throw new Error(JSON.stringify(decision))
    const { grant } = decision
    figures.push({
      what: 'key of the grant',
      value: microseconds(20_000, () => void grantKey(grant)),
      unit: 'µs',
    })
  }
  figures.push(...(await growth()), await slowestAnnotation())
  return { title: 'role-policy', figures }
}

/** The slowest expressions known to us, on a role and on one four times as long: a linear engine takes about four times as long. */
async function growth(): Promise<Table['figures']> {
  const figures: Table['figures'][number][] = []
  for (const source of ['(a+)+b', '(a|a)*b', '(.*)*(.*)*(.*)*b', '(?:a?){120}a{120}b']) {
    const policy = createPolicy({
      base,
      namespaceRestrictions: 'enforce',
      namespaceRestrictionFormat: 'regexp',
    })
    await policy.prepare()
    const namespace = { 'iam.amazonaws.com/allowed-roles': JSON.stringify([source]) }
    // A new name each time: answers are remembered.
    const cost = (length: number) =>
      microseconds(200, (index) => {
        const role = `${'a'.repeat(length)}/${String(index + Math.floor(Math.random() * 1e9))}`
        policy.decide({ ...input(role, namespace), requested: undefined })
      })
    const [short, long] = [cost(120), cost(480)]
    figures.push({
      what: `${source} on a role four times as long`,
      value: long / short,
      unit: '×',
      aim: { atMost: 8 },
      against: `${short.toFixed(0)} µs on 120 characters`,
    })
  }
  return figures
}

/** As many of the slowest expressions as one annotation may have, new ones each time, on the longest role: all that a decision can take. */
async function slowestAnnotation(): Promise<Table['figures'][number]> {
  const policy = createPolicy({
    base,
    namespaceRestrictions: 'enforce',
    namespaceRestrictionFormat: 'regexp',
  })
  await policy.prepare()
  const role = `${'a'.repeat(500)}/${'a'.repeat(60)}`
  let serial = 0
  const decide = (count: number) => {
    serial += 1
    const texts = Array.from({ length: count }, (_, index) => `(?:[a-z]*?/?){150}b${serial}x${index}`)
    const namespace = { 'iam.amazonaws.com/allowed-roles': JSON.stringify(texts) }
    return policy.decide({ ...input(role, namespace), requested: undefined })
  }
  let most = 1
  for (let count = 2; count <= 1000; count += 1) {
    const decision = decide(count)
    if (decision.kind !== 'denied' || decision.code !== 'namespace-denied') break
    most = count
  }
  return {
    what: 'first decision by the slowest annotation that is taken, on the longest role',
    value: microseconds(5, () => void decide(most)) / 1000,
    unit: 'ms',
    aim: { atMost: 50 },
    against: `${most} expressions`,
  }
}
