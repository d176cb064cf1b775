import type { Step } from '../scenario/scenario.ts'
import { formatDuration } from '../scenario/shape.ts'

/** A step that nobody named. */
export function stepText(step: Step): string {
  switch (step.kind) {
    case 'request':
      return `${step.value.pod.value} asks`
    case 'answered':
      return `${step.value.pod.value} is answered`
    case 'repeat':
      return `${step.value.request.pod.value} asks ${step.value.times} times`
    case 'advance':
      return `${formatDuration(step.value)} pass`
    case 'apply':
      return `apply ${[...(step.value.pods?.keys() ?? []), ...(step.value.namespaces?.keys() ?? [])].join(', ')}`
    case 'delete':
      return `delete ${step.value.map(({ value }) => value).join(', ')}`
    case 'terminate':
      return `${step.value.value} terminates`
    case 'fault':
      return 'fault'
    case 'clear':
      return `clear ${step.value}`
    case 'agent':
      return `agent: ${step.value}`
    case 'rule':
      return 'flush the rules'
    case 'clock':
      return 'the clock jumps'
    case 'check':
      return 'check'
    default:
      return step satisfies never
  }
}
