import { type PodIdentity, quoted, showable } from '@kube2iam-ts/core'
import type { Denial, DenialCode, Missing, Wait } from './decision.ts'

/** A denial whose sentence begins with the pod, so that a log line needs nothing else. */
export function refuse(code: DenialCode, pod: PodIdentity, sentence: string, role?: string): Denial {
  return { kind: 'denied', code, message: `pod ${pod.namespace}/${pod.name}: ${sentence}`, role }
}

/** The denial's sentence without the pod, where it is clear which pod is meant. */
export const sentenceOf = (denial: Denial, pod: PodIdentity): string =>
  denial.message.slice(`pod ${pod.namespace}/${pod.name}: `.length)

export const waitFor = (missing: Missing): Wait => ({ kind: 'wait', for: missing })

/** Text that somebody else wrote, as it may be shown: quoted, unable to move or hide what stands around it, and not without end. */
export const quote = (text: string): string => quoted(cut(text))

/** The same without quotes. */
export const shown = (text: string): string => showable(cut(text))

const cut = (text: string): string => (text.length > 200 ? `${text.slice(0, 200)}...` : text)
