import type { FleetOptions } from './options.ts'

/**
 * What an agent's broker does with its calls: a budget that is halved when STS throttles and recovers with success, and
 * a circuit that opens after failures in a row. The numbers are the broker's defaults.
 */
export interface NodeModel {
  /** When a call that is wanted now may be made; the budget is charged for it. */
  admit(node: number, nowMs: number): number
  /** Until when the node's circuit keeps calls back; in the past when it is closed. */
  openUntil(node: number): number
  succeeded(node: number, nowMs: number): void
  failed(node: number, nowMs: number, throttled: boolean): void
  /** A new agent: nothing is remembered. */
  restart(node: number): void
}

const SLOWEST = 0.2
/** Per second that has a success. */
const GIVEN_BACK = 0.02
const NEWS_EVERY_MS = 1000
const FAILURES_TO_OPEN = 5
const OPEN_MS = 2000
const LONGEST_OPEN_MS = 15_000

export function createNodeModel(options: FleetOptions, random: () => number): NodeModel {
  const { nodes, nodeRate, nodeBurst } = options
  const rate = new Float64Array(nodes).fill(nodeRate)
  /** When the bucket, drained at its rate, would be full again. */
  const fullAt = new Float64Array(nodes)
  const halvedAt = new Float64Array(nodes).fill(Number.NEGATIVE_INFINITY)
  const raisedAt = new Float64Array(nodes).fill(Number.NEGATIVE_INFINITY)
  const inARow = new Uint16Array(nodes)
  const opened = new Uint8Array(nodes)
  const until = new Float64Array(nodes)

  return {
    admit(node, nowMs) {
      const current = rate[node] ?? nodeRate
      const interval = 1000 / current
      const room = current < nodeRate ? 1 : nodeBurst
      const full = Math.max(fullAt[node] ?? 0, nowMs)
      fullAt[node] = full + interval
      return Math.max(nowMs, full - (room - 1) * interval)
    },
    openUntil: (node) => until[node] ?? 0,
    succeeded(node, nowMs) {
      const current = rate[node] ?? nodeRate
      if (current < nodeRate && nowMs - (raisedAt[node] ?? 0) >= NEWS_EVERY_MS) {
        raisedAt[node] = nowMs
        rate[node] = Math.min(nodeRate, current + GIVEN_BACK)
      }
      inARow[node] = 0
      opened[node] = 0
    },
    failed(node, nowMs, throttled) {
      if (throttled) {
        if (nowMs - (halvedAt[node] ?? 0) >= NEWS_EVERY_MS) {
          halvedAt[node] = nowMs
          rate[node] = Math.max(SLOWEST, (rate[node] ?? nodeRate) / 2)
        }
        // What was left of the burst is lost.
        fullAt[node] = Math.max(fullAt[node] ?? 0, nowMs + 1000 / (rate[node] ?? nodeRate))
      }
      inARow[node] = (inARow[node] ?? 0) + 1
      if ((inARow[node] ?? 0) < FAILURES_TO_OPEN || (until[node] ?? 0) > nowMs) return
      const times = opened[node] ?? 0
      const bound = Math.min(LONGEST_OPEN_MS, OPEN_MS * 2 ** Math.min(times, 10))
      opened[node] = Math.min(255, times + 1)
      until[node] = nowMs + bound / 2 + (random() * bound) / 2
    },
    restart(node) {
      rate[node] = nodeRate
      fullAt[node] = 0
      halvedAt[node] = Number.NEGATIVE_INFINITY
      raisedAt[node] = Number.NEGATIVE_INFINITY
      inARow[node] = 0
      opened[node] = 0
      until[node] = 0
    },
  }
}
