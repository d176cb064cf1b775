import { showable } from '@kube2iam-ts/core'

/** Escapes of GitHub's own toolkit for what stands behind `::`; what would act upon a terminal is shown. */
export const githubData = (text: string): string =>
  text
    .split(/(\r\n|\r|\n)/)
    .map((part, index) => (index % 2 === 0 ? showable(part) : part))
    .join('')
    .replaceAll('%', '%25')
    .replaceAll('\r', '%0D')
    .replaceAll('\n', '%0A')

/** The same for a property, such as a title. */
export const githubProperty = (text: string): string =>
  githubData(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
