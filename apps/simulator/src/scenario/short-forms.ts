import type { ShortNamespace, ShortPod } from '../cluster/objects.ts'
import type { namespaceShape, podShape } from './cluster-shape.ts'
import type { Located, ValueOf } from './shape.ts'

type Texts = ReadonlyMap<string, Located<string>>

export function shortPod(pod: ValueOf<typeof podShape>): ShortPod {
  const { annotations, labels, ...rest } = pod
  return { ...rest, ...plainTexts('annotations', annotations), ...plainTexts('labels', labels) }
}

export function shortNamespace(namespace: ValueOf<typeof namespaceShape>): ShortNamespace {
  const { annotations, labels, ...rest } = namespace
  return { ...rest, ...plainTexts('annotations', annotations), ...plainTexts('labels', labels) }
}

export const toTexts = (texts: Texts): Record<string, string> =>
  Object.fromEntries([...texts].map(([key, { value }]) => [key, value]))

const plainTexts = <Key extends string>(
  key: Key,
  texts: Texts | undefined,
): Partial<Record<Key, Record<string, string>>> =>
  texts === undefined ? {} : ({ [key]: toTexts(texts) } as Partial<Record<Key, Record<string, string>>>)
