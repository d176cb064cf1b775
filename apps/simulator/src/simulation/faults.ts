import type { Clock } from '@kube2iam-ts/core'
import type { FakeApiServer } from '@kube2iam-ts/pod-registry/testing'
import type { Step } from '../scenario/scenario.ts'
import type { SimulatedNode } from './simulated-node.ts'
import type { SimulatedSts } from './simulated-sts.ts'

type FaultPart = Extract<Step, { kind: 'fault' }>['value']

export interface FaultsOptions {
  readonly clock: Clock
  readonly api: FakeApiServer
  readonly sts: SimulatedSts
  readonly nodes: readonly SimulatedNode[]
  /** Told when a fault ends by itself. */
  readonly onEnd: (what: string) => void
}

/** What is broken just now. */
export interface Faults {
  /** Breaks something, for a while or until it is cleared; says what in words. */
  begin(part: FaultPart): string
  clear(what: 'all' | 'sts' | 'apiserver' | 'imds'): void
}

const SLOW_STS_MS = 3000

export function createFaults({ clock, api, sts, nodes, onEnd }: FaultsOptions): Faults {
  const ends = { sts: new Set<() => void>(), apiserver: new Set<() => void>(), imds: new Set<() => void>() }

  const lasting = (
    area: keyof typeof ends,
    forMs: number | undefined,
    what: string,
    end: () => void,
  ): void => {
    const once = (): void => {
      if (!ends[area].delete(once)) return
      end()
    }
    ends[area].add(once)
    if (forMs !== undefined) {
      clock.after(forMs, () => {
        if (!ends[area].has(once)) return
        once()
        onEnd(what)
      })
    }
  }

  const apiserver = (
    kind: NonNullable<FaultPart['apiserver']>,
    forMs: number | undefined,
    what: string,
  ): void => {
    const { faults } = api
    switch (kind) {
      case 'down':
        faults.outage = true
        faults.dropWatches()
        lasting('apiserver', forMs, what, () => {
          faults.outage = false
        })
        break
      case 'watch-dropped':
        faults.dropWatches()
        break
      case 'watch-stalled':
        faults.stallWatches = true
        lasting('apiserver', forMs, what, () => {
          faults.stallWatches = false
        })
        break
      case 'expired':
        faults.expireWatches()
        break
      case 'throttled':
      case 'forbidden': {
        const status = kind === 'throttled' ? 429 : 403
        const lasts = forMs === undefined ? {} : { forMs }
        faults.fail({ status, ...lasts, ...(status === 429 ? { retryAfterSeconds: 2 } : {}) })
        faults.dropWatches()
        lasting('apiserver', forMs, what, () => {
          faults.clear()
        })
        break
      }
      default:
        kind satisfies never
    }
  }

  return {
    begin(part) {
      const words: string[] = []
      const suffix = part.region === undefined ? '' : ` in ${part.region}`
      if (part.sts !== undefined) {
        const what = `STS ${part.sts}${suffix}`
        words.push(what)
        lasting(
          'sts',
          part.for,
          what,
          sts.addFault({
            kind: part.sts,
            rate: part.rate ?? 1,
            latencyMs: part.latency ?? SLOW_STS_MS,
            region: part.region,
          }),
        )
      }
      if (part.apiserver !== undefined) {
        const what = `API server ${part.apiserver}`
        words.push(what)
        apiserver(part.apiserver, part.for, what)
      }
      if (part.imds !== undefined) {
        const what = `the node's metadata service ${part.imds}`
        words.push(what)
        for (const { instance } of nodes) instance.fault = part.imds
        lasting('imds', part.for, what, () => {
          for (const { instance } of nodes) instance.fault = undefined
        })
      }
      return words.join(', ')
    },
    clear(what) {
      for (const area of ['sts', 'apiserver', 'imds'] as const) {
        if (what === 'all' || what === area) for (const end of ends[area]) end()
      }
    },
  }
}
