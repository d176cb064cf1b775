import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { run } from './cli.ts'
import { collectingTerminal } from './testing/collecting-terminal.ts'

const folder = mkdtempSync(join(tmpdir(), 'kube2iam-sim-cli-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function sim(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const terminal = collectingTerminal()
  const status = await run(args, terminal)
  return { status, out: terminal.printed(), err: terminal.warned() }
}
const scenario = (name: string, expected: string): string => {
  const file = join(folder, name)
  writeFileSync(
    file,
    `version: 1\nname: ${name}\ncluster: {pods: {a/web: {ip: 10.0.0.7, role: app}}}\naws: {roles: {app: {}, other: {}}}\nsteps:\n  - request: {pod: a/web}\n    expect: {role: ${expected}}\n`,
  )
  return file
}

test('init writes a scenario that runs as it says, and writes over nothing', async () => {
  const file = join(folder, 'first.yaml')
  expect(await sim('init', file)).toMatchObject({ status: 0 })
  expect(await sim('run', file)).toMatchObject({ status: 0, out: expect.stringContaining('nobody notices') })
  expect(await sim('init', file)).toMatchObject({ status: 2, err: expect.stringContaining('exists already') })
})

test('0 as expected, 1 not as expected, 2 wrong input, and nothing runs before every file is right', async () => {
  const good = scenario('good.yaml', 'app')
  const bad = scenario('bad.yaml', 'other')
  const wrong = scenario('wrong.yaml', 'app')
  writeFileSync(wrong, readFileSync(wrong, 'utf8').replace('steps', 'stepz'))
  expect((await sim('run', good)).status).toBe(0)
  expect(await sim('run', good, bad)).toMatchObject({
    status: 1,
    out: expect.stringContaining('bad.yaml:6:5: a/web asks: expected role other, got app as a.web'),
  })
  expect(await sim('run', good, wrong)).toEqual({
    status: 2,
    out: '',
    err: `${wrong}:5:1: stepz: there is no key "stepz" here; did you mean steps?`,
  })
})

test('reports go where they are told', async () => {
  const bad = scenario('bad.yaml', 'other')
  const report = join(folder, 'junit.xml')
  const { status, out } = await sim('run', bad, '--format', 'junit', '-o', report)
  expect({ status, table: out.includes('EXPECTED'), written: existsSync(report) }).toEqual({
    status: 1,
    table: true,
    written: true,
  })
  expect(readFileSync(report, 'utf8')).toContain('failures="1"')
  expect((await sim('run', bad, '--format', 'github')).out).toMatch(
    /^::error file=.*bad\.yaml,line=6,col=5,title=/,
  )
  expect(JSON.parse((await sim('run', bad, '--format', 'json')).out)).toMatchObject({ ok: false })
})

test('another seed is another run of the same scenario', async () => {
  const good = scenario('good.yaml', 'app')
  const [first, again, other] = [
    await sim('run', good, '--timeline'),
    await sim('run', good, '--timeline'),
    await sim('run', good, '--timeline', '--seed', '7'),
  ]
  expect(first?.out).toBe(again?.out)
  expect(other?.out).not.toBe(first?.out)
})

test('a fleet is compared, and its reports are written', async () => {
  const csv = join(folder, 'fleet.csv')
  const { status, out } = await sim(
    'fleet',
    '--nodes',
    '5',
    '--hours',
    '2',
    '--vary',
    'session-scope=pod,role',
    '--csv',
    csv,
    '--html',
    join(folder, 'fleet.html'),
  )
  expect(status).toBe(0)
  expect(out).toMatch(/session-scope=pod .*\nsession-scope=role /)
  expect(readFileSync(csv, 'utf8').split('\n')).toHaveLength(4)
  expect(await sim('fleet', '--nodes', 'many')).toMatchObject({
    status: 2,
    err: 'kube2iam-sim fleet: --nodes: expected a whole number from 1 to 50000, found "many"',
  })
})
