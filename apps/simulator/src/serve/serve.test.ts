import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromInstanceMetadata } from '@smithy/credential-provider-imds'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run } from '../cli.ts'
import { collectingTerminal } from '../testing/collecting-terminal.ts'

const folder = mkdtempSync(join(tmpdir(), 'kube2iam-sim-serve-'))
const file = join(folder, 'world.yaml')
const world = (role: string): string => `version: 1
name: my <app> & its world
cluster:
  pods:
    dev/me: {ip: 10.0.0.7, role: ${role}}
    dev/other: {ip: 10.0.0.8, role: other}
aws: {roles: {mine: {}, second: {}, other: {}}}
`

const terminal = collectingTerminal()
let ended: Promise<number>
let exported: Record<string, string> = {}
let page = ''

beforeAll(async () => {
  writeFileSync(file, world('mine'))
  ended = run(['serve', file, '--as', 'dev/me'], terminal)
  await Promise.race([terminal.untilPrinted('Ctrl-C stops'), ended])
  const printed = terminal.printed()
  exported = Object.fromEntries(
    [...printed.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name, value]) => [name, value]),
  )
  page = /^Page: (.*)$/m.exec(printed)?.[1] ?? ''
}, 30_000)
afterAll(async () => {
  terminal.interrupt()
  expect(await ended).toBe(0)
  expect(existsSync(exported['KUBECONFIG'] ?? '')).toBe(false)
  rmSync(folder, { recursive: true, force: true })
}, 20_000)

const get = (
  url: string,
  localAddress: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    http
      .get(url, { localAddress, headers, agent: false }, (response) => {
        let body = ''
        response.on('data', (chunk: Buffer) => (body += chunk.toString()))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
      })
      .on('error', reject)
  })
const roles = '/latest/meta-data/iam/security-credentials/'
const metadata = (): string => (exported['AWS_EC2_METADATA_SERVICE_ENDPOINT'] ?? '').replace(/\/$/, '')

test('the SDK finds the pod’s credentials by what is exported', async () => {
  process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] = metadata()
  process.env['AWS_EC2_METADATA_V1_DISABLED'] = 'false'
  const credentials = await fromInstanceMetadata({ maxRetries: 10 })()
  expect(credentials.accessKeyId).toMatch(/^ASIA/)
  expect((await get(`${metadata()}${roles}`, '127.0.0.1')).body).toBe('mine')
})

test('the region is exported under both names', () => {
  expect([exported['AWS_REGION'], exported['AWS_DEFAULT_REGION']]).toEqual(['eu-west-1', 'eu-west-1'])
})

test('other pods ask from their own addresses', async () => {
  const other = /dev\/other\s+(127\.44\.\S+)/.exec(terminal.printed())?.[1] ?? ''
  expect((await get(`${metadata()}${roles}`, other)).body).toBe('other')
})

test('the container-credentials protocol works with the exported URI and token', async () => {
  const token = readFileSync(exported['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'] ?? '', 'utf8')
  const uri = exported['AWS_CONTAINER_CREDENTIALS_FULL_URI'] ?? ''
  const { status, body } = await get(uri, '127.0.0.1', { authorization: token })
  expect({ status, role: (JSON.parse(body) as { RoleArn: string }).RoleArn }).toEqual({
    status: 200,
    role: 'arn:aws:iam::123456789012:role/mine',
  })
  expect((await get(uri, '127.0.0.1', { authorization: 'e30.e30.x' })).status).toBe(401)
  // For clients that do not know the file.
  expect(exported['AWS_CONTAINER_AUTHORIZATION_TOKEN']).toBe(token)
})

test('the page shows pods, sessions and requests, escaped, and nobody else’s page may use it', async () => {
  // The agent writes its log by the block: a request is on the page a moment after its answer.
  await expect.poll(async () => (await get(page, '127.0.0.1')).body).toContain('role-list')
  const { body } = await get(page, '127.0.0.1')
  expect(body).toContain('my &#60;app&#62; &#38; its world')
  expect(body).toContain('arn:aws:iam::123456789012:role/mine')
  expect(body).not.toContain('<app>')
  expect((await get(page, '127.0.0.1', { host: 'rebound.example' })).status).toBe(403)
  const forged = await fetch(`${page}faults`, {
    method: 'POST',
    body: new URLSearchParams({ fault: 'sts-down' }),
  })
  expect(forged.status).toBe(403)
})

test('a changed scenario is taken over; a wrong one is told about, and the old one stays', async () => {
  writeFileSync(file, world('second'))
  await terminal.untilPrinted('Reloaded')
  await expect.poll(async () => (await get(`${metadata()}${roles}`, '127.0.0.1')).body).toBe('second')
  writeFileSync(file, 'version: 1\nnam: x\n')
  await expect.poll(() => terminal.warned()).toContain('there is no key "nam" here; did you mean name?')
  expect((await get(`${metadata()}${roles}`, '127.0.0.1')).body).toBe('second')
})

const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)

describe.skipIf(chromium === undefined)('in a browser (skipped where no Chromium is installed)', () => {
  test('a person injects a fault and sees it, then takes it back', async () => {
    const { chromium: driver } = await import('playwright-core')
    const browser = await driver.launch({ executablePath: chromium ?? '', args: ['--no-sandbox'] })
    try {
      const tab = await browser.newPage()
      await tab.goto(page)
      expect(await tab.title()).toContain('its world')
      expect(
        await tab
          .getByRole('row', { name: /dev\/me/ })
          .first()
          .textContent(),
      ).toContain('127.0.0.1')
      await tab.getByRole('button', { name: 'STS is down' }).click()
      await tab.getByRole('button', { name: 'STS is down', pressed: true }).waitFor()
      await tab.reload()
      await tab.getByRole('button', { name: 'STS is down', pressed: true }).click()
      await tab.getByRole('button', { name: 'STS is down', pressed: false }).waitFor()
    } finally {
      await browser.close()
    }
  }, 30_000)
})
