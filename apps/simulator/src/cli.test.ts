import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { run } from './cli.ts'
import { explainFailure } from './command-line.ts'
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

test('a table is written to a file as well where one is named', async () => {
  const report = join(folder, 'table.txt')
  const { out } = await sim('run', scenario('good.yaml', 'app'), '-o', report)
  expect(readFileSync(report, 'utf8')).toBe(`${out.trimEnd()}\n`)
  expect(out).toContain('EXPECTED')
})

test('the whole library can be played as a folder; manifests in it are left out and named', async () => {
  const library = join(import.meta.dirname, '../scenarios')
  const { status, out, err } = await sim('run', library, '--format', 'tap')
  expect(status).toBe(0)
  expect(out).toMatch(/^TAP version 13\n1\.\.\d{3}\n/)
  expect(err).toBe(
    `kube2iam-sim: left out because they are Kubernetes objects: ${join(library, 'nodes/canary.yaml')}`,
  )
})

test('a scenario that expects nothing is no failure, but it does not say that all is as expected', async () => {
  const file = join(folder, 'idle.yaml')
  writeFileSync(file, 'version: 1\nname: idle\n')
  const { status, out } = await sim('run', file)
  expect(status).toBe(0)
  expect(out).toContain('warning: nothing was expected')
  expect(out).not.toMatch(/^as expected/m)
  expect((await sim('run', file, '--format', 'github')).out).toContain('::warning file=')
})

const file = scenario('any.yaml', 'app')
test.each([
  [
    ['run', file, '-o', join(folder, 'missing/report')],
    `--output ${join(folder, 'missing/report')}: there is no folder`,
  ],
  [['run', file, '-o', folder], `--output ${folder}: it is a folder.`],
  [['check', file, '-o'], 'Not enough arguments following: o'],
  [['init', join(folder, 'missing/x')], 'there is no folder'],
  [['fleet', '--csv', '/nonexistent/f'], '--csv /nonexistent/f: there is no folder /nonexistent.'],
  [['fleet', '--nodes', '5', '--nodes', '6'], '--nodes is given more than once.'],
  [['run', file, '--format', 'tap', '--format', 'junit'], '--format is given more than once.'],
  [['run', file, '--seed', 'abc'], '--seed: expected a whole number from 0 to 4294967295, found "abc".'],
  [['run', file, '--seed', '-1'], '--seed: expected a whole number'],
  [['run', file, '--seed', '1.5'], '--seed: expected a whole number'],
  [['run', file, '--seed'], 'Not enough arguments following: seed'],
  [
    ['serve', file, '--page-port', '99999'],
    '--page-port: expected a whole number from 0 to 65535, found "99999".',
  ],
  [['serve', file, '--page-port', 'abc'], '--page-port: expected a whole number'],
])('%j is refused in one line, before anything runs', async (args, message) => {
  const { status, out, err } = await sim(...args)
  expect({ status, out, err }).toEqual({ status: 2, out: '', err: expect.stringContaining(message) })
  expect(err.split('\n')).toHaveLength(1)
})

test('a port that is taken is refused in one line, and the world is gone', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => {
    taken.listen(0, '127.0.0.1', () => resolve())
  })
  const { port } = taken.address() as AddressInfo
  const { status, err } = await sim('serve', file, '--page-port', String(port))
  taken.close()
  expect({ status, err }).toEqual({ status: 2, err: expect.stringMatching(/^kube2iam-sim: .*EADDRINUSE.*$/) })
})

test('a bug is told from wrong input by its exit status', () => {
  const terminal = collectingTerminal()
  expect(explainFailure(new TypeError('x is not a function'), terminal)).toBe(70)
  expect(terminal.warned()).toMatch(
    /^kube2iam-sim: this is a bug of kube2iam-sim: TypeError: x is not a function\n/,
  )
})

test('the version is the package’s', async () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')) as {
    version: string
  }
  expect(await sim('--version')).toEqual({ status: 0, out: version, err: '' })
})

test('whoever stops reading ends it quietly', async () => {
  const main = join(import.meta.dirname, 'main.ts')
  const command = `"${process.execPath}" "${main}" schema | head -1; echo "status \${PIPESTATUS[0]}"`
  const { stdout, stderr } = await promisify(execFile)('bash', ['-c', command])
  expect({ stdout, stderr }).toEqual({ stdout: '{\nstatus 141\n', stderr: '' })
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
  const varied = await sim('fleet', '--hours', '1', '--vary', 'nodes=1,2', '--pods', '3')
  expect(varied.out).toMatch(/^1, 2 nodes × 3 pods, 1 h,/)
  expect((await sim('fleet', '--help')).out).toMatch(/--session-duration [^[]*\[string\] \[default: 1h\]/)
  expect(await sim('fleet', '--nodes', 'many')).toMatchObject({
    status: 2,
    err: 'kube2iam-sim fleet: --nodes: expected a whole number from 1 to 50000, found "many"',
  })
})
