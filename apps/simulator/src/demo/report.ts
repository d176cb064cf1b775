import { roleAnnotation } from '../cluster/objects.ts'
import type { Cell, TextTable } from '../output/table.ts'
import { bad, dim, good } from '../output/table.ts'
import type { DemoCase } from './cases.ts'
import type { DemoLine } from './demo.ts'
import type { PodResult } from './pod-messages.ts'

/** The demonstration's table. */
export function demoTable(lines: readonly DemoLine[]): TextTable {
  return {
    head: ['pod', 'kind', 'annotation', 'asked', 'got', 'took', 'right'],
    rows: lines.map(({ demo, result, right }) => [
      demo.pod,
      dim(demo.kind),
      annotationText(demo),
      demo.ask.kind === 'sdk'
        ? 'SDK'
        : demo.ask.kind === 'document'
          ? `GET …/${demo.ask.role}`
          : demo.ask.path,
      gotText(result),
      `${result.tookMs.toFixed(0).padStart(4)} ms`,
      verdict(demo, right),
    ]),
  }
}

function annotationText({ short }: DemoCase): string {
  const role = roleAnnotation(short)
  if (role === undefined) return '-'
  return short.externalId === undefined ? role : `${role} + ID ${short.externalId}`
}

function gotText(result: PodResult): string {
  switch (result.outcome) {
    case 'credentials':
      return result.callerArn.replace(/^arn:aws:sts::/, '')
    case 'answered':
      return `${result.status} ${result.body.slice(0, 40)}`
    case 'refused':
      return result.status === undefined
        ? `nothing: ${result.code ?? result.message}`
        : `nothing: ${result.status}`
    default:
      return result satisfies never
  }
}

function verdict({ gets }: DemoCase, right: boolean): Cell {
  if (right) return good('✓')
  return bad(`✗ should get ${'refused' in gets ? `nothing: ${gets.refused}` : gets.text}`)
}
