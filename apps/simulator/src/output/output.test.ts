import { expect, test } from 'vitest'
import { renderGithub, renderJson, renderJunit, renderTap } from './for-machines.ts'
import { renderRun, renderTimeline } from './for-people.ts'
import type { RunResult } from './run-result.ts'
import { instant } from './run-result.ts'
import { renderTable } from './table.ts'

const step = {
  index: 0,
  line: 7,
  column: 5,
  name: 'asks <early> & "often"',
  atMs: 1500,
  expected: 'role app',
  got: 'role app',
  failures: [],
}
const result: RunResult = {
  file: 'a,b.yaml',
  name: 'reuse: 100%',
  shows: undefined,
  seed: 1,
  ok: false,
  steps: [
    step,
    { ...step, index: 1, line: 9, name: 'asks\nagain', got: 'nothing', failures: ['expected app\ngot none'] },
  ],
  violations: [{ invariant: 'no-foreign-identity', atMs: 90_061_001, message: 'a/b holds c' }],
  notChecked: ['no-node-role'],
  warnings: ['take care\u009b2K'],
  timeline: [{ atMs: 0, lane: 'pod', text: 'a/b asks' }],
  simulatedMs: 5_400_000,
  stsCalls: 3,
  requests: 2,
}

test('instants are since the start', () => {
  expect(instant(90_061_001)).toBe('1d 01:01:01.001')
})

test('a table is aligned without trailing blanks', () => {
  expect(
    renderTable(
      {
        head: ['a', 'b'],
        rows: [
          ['long', 'x'],
          ['y', ''],
        ],
      },
      { colour: false },
    ),
  ).toBe('A     B\nlong  x\ny')
})

test('people see steps, failures with their places, and what broke', () => {
  const text = renderRun(result, { colour: false })
  expect(text).toContain('a,b.yaml:9:5: asks\\u000aagain: expected app\\u000agot none')
  expect(text).toContain('not checked: no-node-role\nwarning: take care\\u009b2K\n')
  expect(text).toContain('invariant no-foreign-identity at 1d 01:01:01.001: a/b holds c')
  expect(text).toContain('2 not as expected · 1h30m simulated · 2 requests · 3 STS calls')
  expect(renderTimeline(result)).toBe('# reuse: 100% (seed 1)\n00:00:00.000  pod      a/b asks\n')
})

test('JUnit counts invariants as a case and escapes what it quotes', () => {
  const xml = renderJunit([result])
  expect(xml).toContain('tests="4" failures="2" errors="0" skipped="1"')
  expect(xml).toContain('name="asks &#60;early&#62; &#38; &#34;often&#34;"')
  expect(xml).toContain('<failure message="expected app got none"/>')
})

test('TAP numbers every case', () => {
  expect(
    renderTap([result])
      .split('\n')
      .filter((line) => /^(not )?ok|^1\.\./.test(line)),
  ).toEqual([
    '1..4',
    'ok 1 - reuse: 100%: asks <early> & "often"',
    'not ok 2 - reuse: 100%: asks again',
    'not ok 3 - reuse: 100%: invariants',
    'ok 4 - reuse: 100%: invariant no-node-role # SKIP not checked',
  ])
})

test('GitHub gets annotations with escaped properties and lines', () => {
  expect(renderGithub([result])).toContain(
    '::error file=a%2Cb.yaml,line=9,col=5,title=reuse%3A 100%25%3A asks%0Aagain::expected app%0Agot none\n',
  )
})

test.each([
  ['people', (nasty: RunResult) => renderRun(nasty, { colour: false })],
  ['the timeline', renderTimeline],
  ['GitHub', (nasty: RunResult) => renderGithub([nasty])],
  ['TAP', (nasty: RunResult) => renderTap([nasty])],
  ['JUnit', (nasty: RunResult) => renderJunit([nasty])],
])('nothing of a scenario acts upon the terminal: %s', (_what, render) => {
  const evil = 'a\u001b[2Kb\u009b2Kc\u202ed'
  const text = render({
    ...result,
    file: evil,
    name: evil,
    steps: [{ ...step, name: evil, expected: evil, got: evil, failures: [evil] }],
    violations: [{ invariant: 'no-node-role', atMs: 0, message: evil }],
    warnings: [evil],
    timeline: [{ atMs: 0, lane: 'pod', text: evil }],
  })
  expect(text).toMatch(/2K/)
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
})

test('warnings are told in every format', () => {
  expect(renderGithub([result])).toContain(
    '::warning file=a%2Cb.yaml,line=1,col=1,title=reuse%3A 100%25::take care',
  )
  expect(renderGithub([result])).toContain('::not checked: no-node-role')
  expect(renderTap([result])).toContain('# reuse: 100%: warning: take care')
  expect(renderJunit([result])).toContain('<system-err>take care')
})

test('JSON holds everything', () => {
  expect(JSON.parse(renderJson([result]))).toMatchObject({ ok: false, runs: [{ name: 'reuse: 100%' }] })
})
