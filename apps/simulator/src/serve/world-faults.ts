import type { EmbeddedWorld } from '../world/embedded-world.ts'

/** What a person can break in the running world. */
export interface WorldFault {
  readonly name: string
  readonly title: string
  readonly begin: (world: EmbeddedWorld) => void
  readonly end: (world: EmbeddedWorld) => void
}

export const WORLD_FAULTS: readonly WorldFault[] = [
  {
    name: 'sts-throttled',
    title: 'STS throttles',
    begin: ({ sts }) => {
      sts.faults.throttle = { ratePerSecond: 0.001, burst: 0 }
    },
    end: ({ sts }) => {
      sts.faults.throttle = undefined
    },
  },
  {
    name: 'sts-down',
    title: 'STS is down',
    begin: ({ sts }) => {
      sts.faults.outage = 'unavailable'
    },
    end: ({ sts }) => {
      sts.faults.outage = undefined
    },
  },
  {
    name: 'sts-slow',
    title: 'STS takes 3 s',
    begin: ({ sts }) => {
      sts.faults.latencyMs = 3000
    },
    end: ({ sts }) => {
      sts.faults.latencyMs = 0
    },
  },
  {
    name: 'sts-rubbish',
    title: 'STS answers rubbish',
    begin: ({ sts }) => {
      sts.faults.rubbish = 'html'
    },
    end: ({ sts }) => {
      sts.faults.rubbish = undefined
    },
  },
  {
    name: 'api-down',
    title: 'API server is down',
    begin: ({ api }) => {
      api.faults.outage = true
      api.faults.dropWatches()
    },
    end: ({ api }) => {
      api.faults.outage = false
    },
  },
  {
    name: 'watch-stalled',
    title: 'Watches are silent',
    begin: ({ api }) => {
      api.faults.stallWatches = true
    },
    end: ({ api }) => {
      api.faults.stallWatches = false
    },
  },
  {
    name: 'imds-down',
    title: 'The node’s metadata service is down',
    begin: ({ instance }) => {
      instance.faults.down = true
    },
    end: ({ instance }) => {
      instance.faults.down = false
    },
  },
]
