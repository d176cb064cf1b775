import type { BaseArn } from '@kube2iam-ts/core'
import { isCoded, resolveRole } from '@kube2iam-ts/core'
import { manifestObjects } from '../cluster/manifest-file.ts'
import type { KubeObject } from '../cluster/objects.ts'
import { keyOf } from '../cluster/objects.ts'
import { nearest, ProblemsError } from './problem.ts'
import type { Step } from './scenario.ts'
import type { Located } from './shape.ts'
import { formatDuration } from './shape.ts'
import type { Position } from './yaml-source.ts'

export interface StepsInContext {
  readonly steps: readonly Step[]
  readonly objects: readonly KubeObject[]
  readonly base: BaseArn
  /** No run lasts longer. */
  readonly longestMs: number
}

type Complain = (at: Position, path: string, message: string) => void

/** What only the whole document shows: pods that do not exist when they are named, expectations that nothing can meet. */
export function checkSteps({ steps, objects, base, longestMs }: StepsInContext, complain: Complain): void {
  const pods = new Set(objects.filter(({ kind }) => kind === 'Pod').map(keyOf))
  const background = new Set<string>()
  let totalMs = 0
  const known = ({ value, at, path }: Located<string>): void => {
    if (pods.has(value)) return
    const near = nearest(value, [...pods])
    complain(
      at,
      path,
      `no pod ${value} exists at this step; ${near === undefined ? podList(pods) : `did you mean ${near}?`}`,
    )
  }
  steps.forEach((step, index) => {
    const path = `steps[${index}]`
    checkExpectation(step, path, base, complain)
    switch (step.kind) {
      case 'request':
        known(step.value.pod)
        checkRequest(step.value, step.at, `${path}.request`, complain)
        if (step.value.background === true) background.add(step.value.pod.value)
        break
      case 'repeat':
        known(step.value.request.pod)
        totalMs += (step.value.every ?? 0) * step.value.times
        break
      case 'answered':
        if (!background.has(step.value.pod.value)) {
          complain(
            step.at,
            `${path}.answered`,
            `no background request of ${step.value.pod.value} was sent before`,
          )
        }
        break
      case 'advance':
        totalMs += step.value
        break
      case 'apply':
        for (const key of step.value.pods?.keys() ?? []) {
          pods.add(key)
        }
        addManifest(step, path, pods, complain)
        break
      case 'delete':
        for (const pod of step.value) {
          known(pod)
          pods.delete(pod.value)
        }
        break
      case 'terminate':
        known(step.value)
        break
      case 'fault':
      case 'clear':
      case 'agent':
      case 'rule':
      case 'clock':
      case 'check':
        break
      default:
        step satisfies never
    }
    if (totalMs > longestMs) {
      complain(step.at, path, `the scenario would last longer than ${formatDuration(longestMs)}`)
      totalMs = Number.NEGATIVE_INFINITY
    }
  })
}

function checkRequest(
  { ask, path, role }: { ask?: string; path?: string; role?: string },
  at: Position,
  where: string,
  complain: Complain,
): void {
  if (ask === 'path' && path === undefined) complain(at, where, 'ask: path needs a path')
  if (path !== undefined && ask !== 'path') complain(at, where, 'path is read with ask: path only')
  if (role !== undefined && ask !== 'document') complain(at, where, 'role is read with ask: document only')
}

function checkExpectation(step: Step, path: string, base: BaseArn, complain: Complain): void {
  const { expect } = step.shared
  if (expect === undefined) return
  if (!['request', 'answered', 'repeat'].includes(step.kind)) {
    complain(step.at, `${path}.expect`, `expect belongs to a request; a ${step.kind} step has no answer`)
  }
  if (expect.role !== undefined && expect.denied !== undefined) {
    complain(step.at, `${path}.expect`, 'role and denied cannot both come true')
  }
  if (expect.role !== undefined) {
    try {
      resolveRole(expect.role, base)
    } catch (error) {
      if (!isCoded(error)) throw error
      complain(step.at, `${path}.expect.role`, error.message)
    }
  }
}

function addManifest(
  step: Extract<Step, { kind: 'apply' }>,
  path: string,
  pods: Set<string>,
  complain: Complain,
): void {
  const manifest = step.value.manifest?.plain
  if (manifest === undefined) return
  try {
    for (const object of manifestObjects(manifest, '')) if (object.kind === 'Pod') pods.add(keyOf(object))
  } catch (error) {
    if (!(error instanceof ProblemsError)) throw error
    for (const { path: inner, message } of error.problems) {
      complain(step.at, `${path}.apply.manifest${inner === '' ? '' : `.${inner}`}`, message)
    }
  }
}

const podList = (pods: ReadonlySet<string>): string => {
  const names = [...pods].toSorted()
  if (names.length === 0) return 'the cluster has no pods'
  return `the pods are ${names.slice(0, 10).join(', ')}${names.length > 10 ? ', …' : ''}`
}
