import { expect } from 'vitest'
import type { RawAnswer } from '../support/raw-client.ts'
import { type Ask, PODS, STRANGER, type World } from '../support/world.ts'
import type { Row } from './table.ts'

const PATH = '/v1/credentials'
const authorized = (token: string) => [['Authorization', token] as const]
const ask = (world: World, request: Partial<Ask> = {}): Promise<RawAnswer> =>
  world.ask({ target: PATH, to: 'containers', ...request })

function expectFault(answer: RawAnswer, status: number, code: string): void {
  expect([answer.status, answer.header('content-type')]).toEqual([status, 'application/json'])
  const body = JSON.parse(answer.body.toString()) as Record<string, unknown>
  expect(Object.keys(body)).toEqual(['code', 'message'])
  expect(body['code']).toBe(code)
  expect(body['message']).toEqual(expect.any(String))
}

function expectCredentials(answer: RawAnswer, role: string): Record<string, string> {
  expect([answer.status, answer.header('content-type')]).toEqual([200, 'application/json'])
  const body = JSON.parse(answer.body.toString()) as Record<string, string>
  expect(Object.keys(body)).toEqual([
    'AccessKeyId',
    'SecretAccessKey',
    'Token',
    'Expiration',
    'AccountId',
    'RoleArn',
  ])
  expect([body['RoleArn'], body['AccountId']]).toEqual([role, role.split(':')[4]])
  return body
}

/** 8.5: rows K1 to K12. */
export const containerRows: readonly Row[] = [
  {
    row: 'K1',
    does: 'the ECS form: a relative URI at 169.254.170.2',
    async run({ world }) {
      for (const target of [PATH, '/v2/credentials', `${PATH}?x=y`]) {
        const headers = [['Host', '169.254.170.2'] as const, ...authorized('jwt-app')]
        expectCredentials(await ask(world, { target, headers }), PODS.app.role)
      }
    },
  },
  {
    row: 'K2',
    does: 'the EKS form: 169.254.170.23, with port and without',
    async run({ world }) {
      for (const host of ['169.254.170.23', '169.254.170.23:80']) {
        const headers = [['Host', host] as const, ...authorized('jwt-app')]
        expectCredentials(await ask(world, { headers }), PODS.app.role)
      }
    },
  },
  {
    row: 'K2',
    does: 'a pod with the node’s address is told by its token',
    async run({ world }) {
      const answer = await ask(world, { headers: authorized('jwt-other'), from: STRANGER })
      expectCredentials(answer, PODS.other.role)
    },
  },
  {
    row: 'K3',
    // 401 with a JSON body wherever the value arrives whole. A line end never does: Node's parser refuses the request
    // before anybody sees it (the contract allows that: "rejected by the HTTP parser"), and its refusal is a bare 400.
    does: 'a space in the token is 401; a line end is no header any more, and the parser’s 400',
    async run({ world }) {
      for (const token of ['jwt app', 'jwt-app\tx']) {
        expectFault(await ask(world, { headers: authorized(token) }), 401, 'InvalidTokenException')
      }
      for (const token of ['jwt-app\n', 'jwt-app\r']) {
        const answer = await ask(world, { headers: authorized(token) })
        expect([answer.status, answer.body.length]).toEqual([400, 0])
      }
    },
  },
  {
    row: 'K4',
    does: 'no token, an empty one, a wrong one, a huge one, two',
    async run({ world }) {
      expectFault(await ask(world), 401, 'MissingTokenException')
      expectFault(await ask(world, { headers: authorized('') }), 401, 'MissingTokenException')
      expectFault(await ask(world, { headers: authorized('wrong') }), 401, 'InvalidTokenException')
      expectFault(await ask(world, { headers: authorized('a'.repeat(9000)) }), 401, 'InvalidTokenException')
      const two = [...authorized('jwt-app'), ...authorized('jwt-app')]
      expectFault(await ask(world, { headers: two }), 401, 'InvalidTokenException')
    },
  },
  {
    row: 'K4',
    does: 'an expired token',
    async run({ open }) {
      const world = await open()
      const tokenEndsAt = world.clock.now() + 60_000
      world.service.place({ ...PODS.app, tokenEndsAt })
      expectCredentials(await ask(world, { headers: authorized('jwt-app') }), PODS.app.role)
      world.clock.shift(60_001)
      expectFault(await ask(world, { headers: authorized('jwt-app') }), 401, 'InvalidTokenException')
    },
  },
  {
    row: 'K5',
    does: 'the token of another pod',
    async run({ world }) {
      const answer = await ask(world, { headers: authorized('jwt-other'), from: PODS.app.address })
      expectFault(answer, 403, 'AccessDeniedException')
    },
  },
  {
    row: 'K6',
    does: 'another Host',
    async run({ world }) {
      for (const host of [
        '169.254.169.254',
        'rebound.example',
        '169.254.170.23.example',
        '169.254.170.23:8080',
      ]) {
        const headers = [['Host', host] as const, ...authorized('jwt-app')]
        for (const target of [PATH, '/v2/credentials', `${PATH}?x=y`]) {
          expectFault(await ask(world, { target, headers }), 403, 'AccessDeniedException')
        }
      }
    },
  },
  {
    row: 'K7',
    does: 'another path or method',
    async run({ world }) {
      for (const target of [
        '/',
        '/v1',
        `${PATH}/`,
        `/${PATH}`,
        '/V1/credentials',
        '/latest/meta-data/',
        '/v1/%63redentials',
      ]) {
        const answer = await ask(world, { target, headers: authorized('jwt-app') })
        expectFault(answer, 404, 'ResourceNotFoundException')
      }
      const post = await ask(world, { method: 'POST', headers: authorized('jwt-app') })
      expectFault(post, 405, 'MethodNotAllowedException')
      expect(post.header('allow')).toBe('GET, HEAD')
    },
  },
  {
    row: 'K8',
    does: 'a permanent refusal, none and a passing one',
    async run({ world }) {
      const from = STRANGER
      expectFault(await ask(world, { headers: authorized('jwt-denied'), from }), 403, 'AccessDeniedException')
      expectFault(
        await ask(world, { headers: authorized('jwt-plain'), from }),
        404,
        'ResourceNotFoundException',
      )
      expectFault(
        await ask(world, { headers: authorized('jwt-broken'), from }),
        503,
        'ServiceUnavailableException',
      )
    },
  },
  {
    row: 'K9',
    does: 'Expiration in whole seconds',
    async run({ world }) {
      const body = expectCredentials(await ask(world, { headers: authorized('jwt-app') }), PODS.app.role)
      expect(body['Expiration']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    },
  },
  {
    row: 'K10',
    does: 'less than 10,000 bytes, plain, with their length',
    async run({ world }) {
      const headers = [...authorized('jwt-app'), ['Accept-Encoding', 'gzip, br'] as const]
      const answer = await ask(world, { headers })
      expect(answer.body.length).toBeLessThan(10_000)
      expect(answer.header('content-length')).toBe(String(answer.body.length))
      expect(answer.header('content-encoding')).toBeUndefined()
      expect(answer.header('transfer-encoding')).toBeUndefined()
    },
  },
  {
    row: 'K11',
    does: 'the EKS form over IPv6',
    async run({ open }) {
      const world = await open({ host: '::1' })
      const headers = [['Host', '[fd00:ec2::23]'] as const, ...authorized('jwt-app')]
      world.service.place({ ...PODS.app, address: '::1' })
      expectCredentials(await ask(world, { headers, from: '::1' }), PODS.app.role)
      expectFault(
        await ask(world, { headers: [['Host', '[::1]'] as const, ...authorized('jwt-app')], from: '::1' }),
        403,
        'AccessDeniedException',
      )
    },
  },
  {
    row: 'K12',
    does: 'one pod’s flood is 429, and other pods do not notice',
    async run({ open }) {
      const world = await open({ settings: { rate: { perSecond: 5, burst: 20 } } })
      const flood = await Promise.all(
        Array.from({ length: 60 }, () => ask(world, { headers: authorized('jwt-app') })),
      )
      const refused = flood.filter((one) => one.status === 429)
      expect(refused.length).toBeGreaterThanOrEqual(30)
      for (const answer of refused) expectFault(answer, 429, 'TooManyRequestsException')
      const other = await ask(world, { headers: authorized('jwt-other'), from: PODS.other.address })
      expectCredentials(other, PODS.other.role)
    },
  },
]
