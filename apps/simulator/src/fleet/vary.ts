import type { FleetOptions } from './options.ts'
import { readFleetFlag } from './options.ts'

/** One combination of settings, and what sets it apart. */
export interface Variant {
  /** `session-scope=role, quota=100`; `as given` where nothing is varied. */
  readonly name: string
  readonly options: FleetOptions
}

const MOST_VARIANTS = 64

/** Every combination of `key=a,b,c` settings over the base, in order; a sentence where one is wrong. */
export function variantsOf(base: FleetOptions, vary: readonly string[]): readonly Variant[] | string {
  let variants: Variant[] = [{ name: '', options: base }]
  for (const setting of vary) {
    const [, key = '', list = ''] = /^([a-z-]+)=(.+)$/.exec(setting) ?? []
    if (key === '') return `--vary: expected option=value,value, found "${setting}"`
    const next: Variant[] = []
    for (const { name, options } of variants) {
      for (const value of list.split(',')) {
        const change = readFleetFlag(key, value.trim())
        if (typeof change === 'string') return `--vary ${change}`
        next.push({
          name: `${name}${name === '' ? '' : ', '}${key}=${value.trim()}`,
          options: { ...options, ...change },
        })
      }
    }
    variants = next
    if (variants.length > MOST_VARIANTS)
      return `--vary: ${variants.length} combinations; at most ${MOST_VARIANTS}`
  }
  return variants.map((variant) => (variant.name === '' ? { ...variant, name: 'as given' } : variant))
}
