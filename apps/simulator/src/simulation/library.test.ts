import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { renderTimeline } from '../output/for-people.ts'
import { loadScenario, parseScenario } from '../scenario/load.ts'
import { scenarioSchema } from '../scenario/scenario.ts'
import { runScenario } from './run-scenario.ts'

const folder = join(import.meta.dirname, '../../scenarios')
const files = globSync('*.yaml', { cwd: folder }).toSorted()

describe('the library of scenarios', () => {
  test('is there', () => {
    expect(files.length).toBeGreaterThan(30)
  })

  test.each(files)('%s comes out as it says', async (file) => {
    const result = await runScenario(loadScenario(join(folder, file)))
    const failures = [
      ...result.steps.flatMap(({ line, failures: missed }) =>
        missed.map((failure) => `line ${line}: ${failure}`),
      ),
      ...result.violations.map(({ invariant, message }) => `${invariant}: ${message}`),
    ]
    expect(failures).toEqual([])
  })

  test.each(files)('%s says what it shows and which public issue it answers', (file) => {
    const { shows = '' } = loadScenario(join(folder, file))
    if (file.startsWith('01-')) return
    expect(shows).toMatch(/[a-z0-9-]+\/[a-z0-9-]+#\d+/)
    expect(basename(file)).toMatch(/^\d\d-[a-z0-9-]+\.yaml$/)
  })
})

test('the same scenario and seed give the same transcript to the byte; another seed another', async () => {
  const scenario = loadScenario(join(folder, '09-sts-throttled.yaml'))
  const first = renderTimeline(await runScenario(scenario))
  expect(renderTimeline(await runScenario(scenario))).toBe(first)
  const other = renderTimeline(await runScenario({ ...scenario, seed: 2 }))
  expect(other.split('\n').slice(1)).not.toEqual(first.split('\n').slice(1))
})

const run = async (text: string) => runScenario(parseScenario(`version: 1\nname: x\n${text}`, 'x.yaml'))
const world = 'cluster: {pods: {a/web: {ip: 10.0.0.7, role: app}}}\naws: {roles: {app: {}, other: {}}}\n'

test('an expectation that does not come true fails its step with its place', async () => {
  const { ok, steps } = await run(`${world}steps:\n  - request: {pod: a/web}\n    expect: {role: other}`)
  expect(ok).toBe(false)
  expect(steps).toMatchObject([
    { line: 6, failures: [expect.stringContaining('expected role other, got app as a.web')] },
  ])
})

test('an invariant that is broken fails the run although every step is right', async () => {
  const { ok, steps, violations } = await run(
    `${world}invariants: {min-life: 59m}\nsteps:\n  - request: {pod: a/web}\n    expect: {role: app}\n  - advance: 20m\n  - request: {pod: a/web}\n    expect: {role: app}`,
  )
  expect(steps.flatMap(({ failures }) => failures)).toEqual([])
  expect({ ok, violations: violations.map(({ invariant }) => invariant) }).toEqual({
    ok: false,
    violations: ['min-life'],
  })
})

test('an agent that does not redirect shows pods the node’s role, and that is seen', async () => {
  const { violations } = await run(
    `${world}agent: {settings: {iptables: false}}\nsteps:\n  - request: {pod: a/web}`,
  )
  expect(violations).toMatchObject([
    { invariant: 'no-node-role', message: expect.stringContaining('pod a/web') },
  ])
})

test('settings that the agent refuses are refused with the agent’s own words', async () => {
  await expect(run(`${world}agent: {settings: {app-port: 70000}}\nsteps: []`)).rejects.toThrow(
    'x.yaml:5:20: agent.settings.app-port: --app-port "70000" is not a port',
  )
})

test('a step that asks for what cannot be is a problem of the scenario, at the step', async () => {
  await expect(
    run('cluster: {pods: {a/web: {role: app}}}\nsteps:\n  - request: {pod: a/web}'),
  ).rejects.toThrow(
    'x.yaml:5:5: steps[0].request: a/web has no address to ask from; give it an ip, or say from',
  )
})

test('what was switched off, not expected or not judged is said with the result', async () => {
  const policy = (key: string) =>
    `{Statement: [{Effect: Allow, Principal: '*', Action: '*', Condition: {StringEquals: {${key}: x}}}]}`
  const { ok, notChecked, warnings } = await run(
    `cluster: {pods: {a/web: {ip: 10.0.0.7, role: app}}}\naws: {roles: {app: {trust: ${policy('aws:SourceVpc')}}}}\ninvariants: {no-node-role: false}\nsteps:\n  - request: {pod: a/web}`,
  )
  expect({ ok, notChecked }).toEqual({ ok: true, notChecked: ['no-node-role'] })
  expect(warnings).toEqual([
    'nothing was expected: no step says expect or check, and no invariant is demanded',
    'STS refused arn:aws:iam::123456789012:role/app because its trust policy hangs on what is not known here: Statement[0]: condition key aws:SourceVpc',
  ])
  const demanded = await run(`${world}invariants: {min-life: 1m}\nsteps:\n  - request: {pod: a/web}`)
  expect(demanded.warnings).toEqual([])
})

test('the published schema is the one that scenarios are read by', () => {
  const published = readFileSync(join(import.meta.dirname, '../../schema/scenario.schema.json'), 'utf8')
  expect(JSON.parse(published)).toEqual(JSON.parse(JSON.stringify(scenarioSchema())))
})

test('check: sessions counts what the agent holds, and no agent holds none', async () => {
  const checked = (bound: string) =>
    run(
      `cluster: {pods: {a/web: {ip: 10.0.0.7, role: app}, a/api: {ip: 10.0.0.8, role: other}}}\naws: {roles: {app: {}, other: {}}}\nsteps:\n  - advance: 5s\n  - check: {sessions: ${bound}}\n  - delete: {pods: [a/api]}\n  - advance: 5s\n  - check: {sessions: 1}\n  - agent: kill\n  - check: {sessions: 0}`,
    )
  const { ok, steps } = await checked('2')
  expect(steps.flatMap(({ failures }) => failures)).toEqual([])
  expect(ok).toBe(true)
  expect(steps.filter(({ got }) => got !== '').map(({ got }) => got)).toEqual([
    'sessions 2',
    'sessions 1',
    'sessions 0',
  ])
  expect((await checked('">=3"')).steps.flatMap(({ failures }) => failures)).toEqual([
    'expected sessions >=3, got 2',
  ])
})

test('everything that a check can ask for is looked at', async () => {
  const { steps } = await run(
    `${world}steps:\n  - check: {sts-calls: ">=0", sts-calls-since-last: ">=0", ready: true, live: true, rule: present, upstream-requests: ">=0", sessions: ">=0", taint: absent}`,
  )
  const [{ got, expected } = { got: '', expected: '' }] = steps
  const names = (text: string) => new Set(text.split(', ').map((part) => part.split(' ')[0]))
  expect(names(got)).toEqual(names(expected))
})
