import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openWorld, PODS, type World, type WorldOptions } from '../support/world.ts'
import { containerRows } from './container-rows.ts'
import { credentialRows } from './credential-rows.ts'
import { pathRows } from './path-rows.ts'
import { expectAnswer, forwarded, type Mode, type RequestRow, type Row, type RowNumber } from './table.ts'
import { tokenRows } from './token-rows.ts'
import { tokenUseRows } from './token-use-rows.ts'

const rows: readonly Row[] = [...tokenRows, ...tokenUseRows, ...credentialRows, ...pathRows, ...containerRows]

/** A way to run rows: a setting of the emulator, and what its clients do. */
interface Way {
  readonly name: string
  readonly mode: Mode
  readonly rows: readonly Row[]
  /** Both protocols on one port. */
  readonly shared?: boolean
  /** What a row that does not speak of tokens sends: one always, one where the row asks for it, none whatever it asks. */
  readonly tokens: 'always' | 'as the row says' | 'never'
}

const ways: readonly Way[] = [
  { name: 'tokens optional', mode: 'optional', rows, tokens: 'as the row says' },
  { name: 'tokens required', mode: 'required', rows, tokens: 'always' },
  { name: 'tokens optional, clients of IMDSv1', mode: 'optional', rows: credentialRows, tokens: 'never' },
  {
    name: 'both protocols on one port',
    mode: 'required',
    rows: [...containerRows, ...credentialRows],
    shared: true,
    tokens: 'always',
  },
]

describe.each(ways)('$name', ({ mode, rows: all, shared: isShared = false, tokens }) => {
  let shared: World
  const opened: World[] = []
  const dressed = (world: World): World => {
    if (tokens === 'never') return withoutTokens(world)
    return tokens === 'always' ? withTokens(world) : world
  }
  beforeAll(async () => {
    shared = await openWorld({ settings: { tokens: mode }, shared: isShared })
  })
  afterAll(() => shared.close())
  beforeEach(() => {
    shared.instance.requests.length = 0
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((world) => world.close()))
  })

  /** A row's own world has the mode under test, and sends the tokens that it needs. */
  const open = async (options: WorldOptions = {}): Promise<World> => {
    const world = await openWorld({
      ...options,
      settings: { tokens: mode, ...options.settings },
      shared: isShared,
    })
    opened.push(world)
    return dressed(world)
  }

  const held = all.filter((row) => (row.mode ?? mode) === mode)
  for (const row of held) {
    const name = `${row.row}: ${row.does}`
    if ('elsewhere' in row) test.skip(`${name} [${row.elsewhere}]`, () => {})
    else if ('run' in row) test(name, () => row.run({ world: dressed(shared), open }))
    else test(name, () => runRequest(row, shared, tokens))
  }
})

async function runRequest({ send, want }: RequestRow, world: World, tokens: Way['tokens']): Promise<void> {
  const { token = tokens === 'never' ? 'none' : 'T', from = PODS.app.address, ...rest } = send
  const value = token === 'T' ? await world.tokenOf(from) : token
  const answer = await world.ask({ ...rest, from, ...(value === 'none' ? {} : { token: value }) })
  const ttl = tokens === 'never' ? 'absent' : want.ttl
  expectAnswer(answer, { ...want, ...(ttl === undefined ? {} : { ttl }) }, send.method)
  expect(forwarded(world)).toEqual(want.forwards ?? [])
}

/** Whatever a scenario asks, its client knows nothing of tokens. */
function withoutTokens(world: World): World {
  return {
    ...world,
    get listener() {
      return world.listener
    },
    async ask({ token: _unsent, ...request }) {
      const answer = await world.ask(request)
      expect(answer.header('x-aws-ec2-metadata-token-ttl-seconds')).toBeUndefined()
      return answer
    },
  }
}

/** Where tokens are required, a scenario that does not speak of tokens is one of clients that send them. */
function withTokens(world: World): World {
  return {
    ...world,
    get listener() {
      return world.listener
    },
    async ask(request) {
      const needed =
        request.to !== 'containers' && request.token === undefined && (request.method ?? 'GET') === 'GET'
      const from = request.from ?? PODS.app.address
      return await world.ask(needed ? { ...request, token: await world.tokenOf(from) } : request)
    },
  }
}

test('every row of the contract is here', () => {
  const expected: RowNumber[] = [
    ...Array.from({ length: 100 }, (_value, index) => index + 1),
    ...Array.from({ length: 12 }, (_value, index) => `K${index + 1}` as const),
  ]
  const present = new Set(rows.map((row) => row.row))
  expect(expected.filter((row) => !present.has(row))).toEqual([])
  // A row may point elsewhere for a part of what it says; none is left with nothing to run but these.
  const run = new Set(rows.filter((row) => !('elsewhere' in row)).map((row) => row.row))
  expect(expected.filter((row) => !run.has(row))).toEqual([70, 73])
})
