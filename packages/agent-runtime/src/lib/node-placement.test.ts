import type { NodePlacement, NodeRequirement } from '@kube2iam-ts/pod-registry/kubernetes'
import { describe, expect, test } from 'vitest'
import { type Placement, placementOn, takesEveryNode } from './node-placement.ts'

const node = { name: 'node-1', labels: { pool: 'apps', cores: '16', zone: 'a', minus: '-2' } }
const selecting = (nodeSelector: Record<string, string>): NodePlacement => ({
  nodeSelector,
  requiredTerms: undefined,
})
const label = (key: string, operator: string, ...values: string[]): NodeRequirement => ({
  key,
  operator,
  values,
})
const terms = (...all: NodeRequirement[][]): NodePlacement => ({
  nodeSelector: {},
  requiredTerms: all.map((matchExpressions) => ({ matchExpressions })),
})
const fields = (...matchFields: NodeRequirement[]): NodePlacement => ({
  nodeSelector: {},
  requiredTerms: [{ matchFields }],
})
const apps = label('pool', 'In', 'apps')
const gone = label('pool', 'In', 'gone')
const odd = label('pool', 'Like', 'apps')

describe('a node is', () => {
  test.each<[Placement, string, NodePlacement]>([
    ['wanted', 'no condition', selecting({})],
    ['wanted', 'all labels of the selector', selecting({ pool: 'apps', zone: 'a' })],
    ['not-wanted', 'another value', selecting({ pool: 'apps', zone: 'b' })],
    ['not-wanted', 'a label that the node lacks', selecting({ gpu: 'yes' })],
    ['not-wanted', 'a name that every object has', selecting({ constructor: 'x' })],
    ['wanted', 'In', terms([label('pool', 'In', 'db', 'apps')])],
    ['not-wanted', 'In, another', terms([gone])],
    ['not-wanted', 'In, absent', terms([label('gpu', 'In', 'yes')])],
    ['unclear', 'In nothing', terms([label('pool', 'In')])],
    ['not-wanted', 'NotIn', terms([label('pool', 'NotIn', 'apps')])],
    ['wanted', 'NotIn, another', terms([label('pool', 'NotIn', 'db')])],
    ['wanted', 'NotIn, absent', terms([label('gpu', 'NotIn', 'yes')])],
    ['unclear', 'NotIn nothing', terms([label('pool', 'NotIn')])],
    ['wanted', 'Exists', terms([{ key: 'pool', operator: 'Exists' }])],
    ['not-wanted', 'Exists, absent', terms([{ key: 'gpu', operator: 'Exists' }])],
    ['wanted', 'DoesNotExist', terms([{ key: 'gpu', operator: 'DoesNotExist' }])],
    ['not-wanted', 'DoesNotExist, present', terms([{ key: 'pool', operator: 'DoesNotExist' }])],
    ['wanted', 'Gt', terms([label('cores', 'Gt', '8')])],
    ['not-wanted', 'Gt, equal', terms([label('cores', 'Gt', '16')])],
    ['wanted', 'Lt, by number and not by text', terms([label('cores', 'Lt', '100')])],
    ['not-wanted', 'Lt, equal', terms([label('cores', 'Lt', '16')])],
    ['wanted', 'Lt, negative', terms([label('minus', 'Lt', '-1')])],
    ['not-wanted', 'Gt of a label that is no number', terms([label('pool', 'Gt', '1')])],
    ['not-wanted', 'Gt, absent', terms([label('gpu', 'Gt', '1')])],
    ['unclear', 'Gt than no number', terms([label('cores', 'Gt', 'eight')])],
    ['unclear', 'Gt than two numbers', terms([label('cores', 'Gt', '1', '2')])],
    ['unclear', 'an operator that is not known', terms([odd])],
    ['not-wanted', 'one condition of a term that fails', terms([apps, gone])],
    ['not-wanted', 'one that fails beside one that is unclear', terms([odd, gone])],
    ['wanted', 'one term of several', terms([gone], [apps])],
    ['wanted', 'one term beside one that is unclear', terms([odd], [apps])],
    ['unclear', 'a term that fails and one that is unclear', terms([gone], [odd])],
    ['not-wanted', 'no term of several', terms([gone], [label('zone', 'In', 'b')])],
    ['unclear', 'no terms', terms()],
    ['unclear', 'a term without conditions', terms([])],
    ['wanted', 'its name', fields(label('metadata.name', 'In', 'node-1'))],
    ['not-wanted', 'the name of another', fields(label('metadata.name', 'In', 'node-2'))],
    ['not-wanted', 'not its name', fields(label('metadata.name', 'NotIn', 'node-1'))],
    ['wanted', 'not the name of another', fields(label('metadata.name', 'NotIn', 'node-2'))],
    ['unclear', 'a field that is not known', fields(label('spec.podCIDR', 'In', 'x'))],
    ['unclear', 'a name that exists', fields({ key: 'metadata.name', operator: 'Exists' })],
    [
      'not-wanted',
      'a selector that fails where the affinity holds',
      { ...terms([apps]), nodeSelector: { zone: 'b' } },
    ],
    [
      'not-wanted',
      'an affinity that fails where the selector holds',
      { ...terms([gone]), nodeSelector: { zone: 'a' } },
    ],
  ])('%s by %s', (expected, _, placement) => {
    expect(placementOn(node, placement)).toBe(expected)
  })

  test('of no clear fate where its labels are not known', () => {
    const unknown = { name: 'node-1', labels: undefined }
    expect(placementOn(unknown, selecting({ pool: 'gone' }))).toBe('unclear')
    expect(placementOn(unknown, terms([label('gpu', 'DoesNotExist')]))).toBe('unclear')
    expect(placementOn(unknown, selecting({}))).toBe('wanted')
  })
})

test('only a template without conditions takes every node', () => {
  expect(takesEveryNode(selecting({}))).toBe(true)
  expect(takesEveryNode(selecting({ pool: 'apps' }))).toBe(false)
  expect(takesEveryNode(terms())).toBe(false)
})
