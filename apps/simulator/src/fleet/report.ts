import type { TextTable } from '../output/table.ts'
import { bad, bold } from '../output/table.ts'
import { formatDuration } from '../scenario/shape.ts'
import type { FleetResult } from './model.ts'

export interface NamedResult {
  readonly name: string
  readonly result: FleetResult
}

interface Column {
  readonly name: string
  readonly title: string
  readonly value: (result: FleetResult) => number
  readonly shown: (value: number) => string
}

const count = (value: number): string => Math.round(value).toLocaleString('en-US')
const rate = (value: number): string => (value >= 100 ? count(value) : value.toFixed(1))
const time = (value: number): string =>
  value < 1
    ? '0 ms'
    : value < 10_000
      ? `${Math.round(value)} ms`
      : formatDuration(Math.round(value / 1000) * 1000)

/** What reports say of a result, in order. */
export const COLUMNS: readonly Column[] = [
  { name: 'sts_calls', title: 'STS calls', value: (r) => r.stsCalls, shown: count },
  { name: 'calls_per_second_mean', title: 'mean/s', value: (r) => r.callsPerSecond.mean, shown: rate },
  { name: 'calls_per_second_p99', title: 'p99/s', value: (r) => r.callsPerSecond.p99, shown: rate },
  { name: 'calls_per_second_peak', title: 'peak/s', value: (r) => r.callsPerSecond.peak, shown: rate },
  {
    name: 'throttled_share',
    title: 'throttled',
    value: (r) => r.throttledShare,
    shown: (value) => `${(value * 100).toFixed(2)} %`,
  },
  { name: 'failed', title: 'failed', value: (r) => r.failed, shown: count },
  {
    name: 'first_credentials_ms_p50',
    title: 'first p50',
    value: (r) => r.firstCredentialsMs.p50,
    shown: time,
  },
  {
    name: 'first_credentials_ms_p99',
    title: 'first p99',
    value: (r) => r.firstCredentialsMs.p99,
    shown: time,
  },
  { name: 'gaps', title: 'gaps', value: (r) => r.gaps.count, shown: count },
  {
    name: 'gap_seconds',
    title: 'gap time',
    value: (r) => r.gaps.seconds,
    shown: (value) => time(value * 1000),
  },
  { name: 'sessions_per_node', title: 'sessions/node', value: (r) => r.sessionsPerNode, shown: count },
  { name: 'memory_mib', title: 'agent MiB', value: (r) => r.memoryMiB, shown: (value) => value.toFixed(0) },
]

export function fleetTable(results: readonly NamedResult[]): TextTable {
  return {
    head: ['settings', ...COLUMNS.map(({ title }) => title)],
    rows: results.map(({ name, result }) => [
      bold(name),
      ...COLUMNS.map((column) => {
        const text = column.shown(column.value(result))
        const alarming =
          ['throttled_share', 'gaps', 'failed'].includes(column.name) && column.value(result) > 0
        return alarming ? bad(text) : text
      }),
    ]),
  }
}

export function fleetCsv(results: readonly NamedResult[]): string {
  const quote = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
  return [
    ['settings', ...COLUMNS.map(({ name }) => name)].join(','),
    ...results.map(({ name, result }) =>
      [quote(name), ...COLUMNS.map(({ value }) => String(Number(value(result).toFixed(4))))].join(','),
    ),
    '',
  ].join('\n')
}

export function fleetJson(results: readonly NamedResult[]): string {
  // How long the simulation took is no property of the fleet: the same options give the same document.
  const documents = results.map(({ name, result }) => ({ settings: name, ...result, tookMs: undefined }))
  return `${JSON.stringify({ version: 1, results: documents }, null, 2)}\n`
}
