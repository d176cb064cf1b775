import { execFile, spawn } from 'node:child_process'
import { copyFileSync, globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

// What a person gets who installs the published packages: from tarballs, in an empty folder, by npm and by pnpm.
const root = join(import.meta.dirname, '../../../..')
const bin = join(root, 'node_modules/.bin')
const folder = mkdtempSync(join(tmpdir(), 'kube2iam-sim-packed-'))
const library = join(root, 'apps/simulator/scenarios')
const env = { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` }
delete (env as Record<string, unknown>)['VITEST']

const run = (command: string, args: readonly string[], cwd: string) =>
  promisify(execFile)(command, args, { cwd, env, maxBuffer: 256 * 1024 * 1024 })

let tarballs: readonly string[] = []
beforeAll(async () => {
  await run('turbo', ['run', 'build', '--output-logs=errors-only'], root)
  const target = join(folder, 'tarballs')
  mkdirSync(target)
  for (const member of globSync('{packages,apps}/*/package.json', { cwd: root })) {
    await run('pnpm', ['pack', '--pack-destination', target], join(root, member, '..'))
  }
  tarballs = globSync('*.tgz', { cwd: target }).map((file) => join(target, file))
}, 600_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const INSTALLERS = {
  async npm(cwd: string) {
    writeFileSync(join(cwd, 'package.json'), '{"private": true}')
    await run('npm', ['install', '--no-audit', '--no-fund', ...tarballs], cwd)
  },
  async pnpm(cwd: string) {
    const files = Object.fromEntries(
      tarballs.map((file) => [
        basename(file).replace(/^kube2iam-ts-(.+)-\d+\.\d+\.\d+.*\.tgz$/, '@kube2iam-ts/$1'),
        `file:${file}`,
      ]),
    )
    const dependencies = { '@kube2iam-ts/simulator': files['@kube2iam-ts/simulator'] }
    writeFileSync(join(cwd, 'package.json'), JSON.stringify({ private: true, dependencies }))
    const overrides = Object.entries(files).map(([name, file]) => `  '${name}': '${file}'`)
    writeFileSync(join(cwd, 'pnpm-workspace.yaml'), `overrides:\n${overrides.join('\n')}\n`)
    await run('pnpm', ['install'], cwd)
  },
}

describe.each(Object.entries(INSTALLERS))('installed by %s', (name, install) => {
  const cwd = join(folder, name)
  const command = join(cwd, 'node_modules/.bin/kube2iam-sim')
  beforeAll(async () => {
    mkdirSync(cwd)
    await install(cwd)
    copyFileSync(join(library, '01-kinds-of-pods.yaml'), join(cwd, 'kinds.yaml'))
  }, 600_000)

  test('run plays a scenario', async () => {
    expect((await run(command, ['run', 'kinds.yaml'], cwd)).stdout).toContain('as expected')
  }, 120_000)

  test('check lists workloads, and ends with 1 because some are denied', async () => {
    await expect(run(command, ['check', '--scenario', 'kinds.yaml'], cwd)).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringContaining('Pod sandbox/greedy'),
    })
  }, 120_000)

  test('serve starts the real agent and stops cleanly', async () => {
    const child = spawn(command, ['serve', 'kinds.yaml'], { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    const up = new Promise<void>((resolve) => {
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString()
        if (output.includes('Ctrl-C stops')) resolve()
      })
    })
    const ended = new Promise<number | null>((resolve) => {
      child.on('exit', resolve)
    })
    await Promise.race([up, ended])
    expect(output).toContain('AWS_EC2_METADATA_SERVICE_ENDPOINT')
    child.kill('SIGINT')
    expect(await ended).toBe(0)
  }, 120_000)
})

test('the library plays identically on both supported majors of Node', async () => {
  const cwd = join(folder, 'npm')
  const entry = join(cwd, 'node_modules/@kube2iam-ts/simulator/dist/main.js')
  const files = globSync('*.yaml', { cwd: library }).toSorted()
  const transcripts = await Promise.all(
    ['22.23.3', '24.21.0'].map(async (version) => {
      const node = ['exec', '--yes', `--package=node-linux-${process.arch}@${version}`, '--', 'node']
      const { stdout: found } = await run('npm', [...node, '--version'], cwd)
      expect(found.trim()).toBe(`v${version}`)
      return (await run('npm', [...node, entry, 'run', '--timeline', ...files], library)).stdout
    }),
  )
  expect(transcripts[0]?.length).toBeGreaterThan(10_000)
  expect(transcripts[1]).toBe(transcripts[0])
}, 600_000)
