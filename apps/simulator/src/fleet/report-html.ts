import { escapeHtml, PAGE_STYLE } from '../output/html.ts'
import { formatDuration } from '../scenario/shape.ts'
import type { FleetOptions } from './options.ts'
import { FLEET_FLAGS } from './options.ts'
import type { NamedResult } from './report.ts'
import { COLUMNS } from './report.ts'

/** A page that needs nothing else: the table, the settings, and a plot of calls for every result. */
export function fleetHtml(results: readonly NamedResult[]): string {
  const [base] = results
  const peak = Math.max(1, ...results.map(({ result }) => Math.max(...perSecond(result.minutes.calls))))
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>kube2iam-sim fleet</title>
<style>${PAGE_STYLE}
svg { width: 100%; height: auto; display: block; } .axis { stroke: var(--line); } .tick { fill: var(--dim); font-size: 11px; }
.calls { fill: none; stroke: var(--accent); stroke-width: 1.4; } .refused { fill: var(--bad); opacity: .55; } .quota { stroke: var(--bad); stroke-dasharray: 4 4; }
</style></head><body>
<h1>Fleet simulation</h1>
<p>${base === undefined ? '' : escapeHtml(summary(base.result.options))}</p>
<h2>Results</h2>
<div class="scroll"><table><thead><tr><th>settings</th>${COLUMNS.map(({ title }) => `<th>${escapeHtml(title)}</th>`).join('')}</tr></thead><tbody>
${results.map(row).join('\n')}
</tbody></table></div>
<h2>STS calls per second, averaged over each minute</h2>
<p>Blue: calls. Red area: calls that STS refused. Dashed: the quota of all accounts and regions together.</p>
${results.map((result) => plot(result, peak)).join('\n')}
<h2>Settings</h2>
<div class="scroll"><table><tbody>${base === undefined ? '' : settings(base.result.options)}</tbody></table></div>
</body></html>
`
}

const summary = ({ nodes, podsPerNode, hours }: FleetOptions): string =>
  `${nodes.toLocaleString('en-US')} nodes × ${podsPerNode} pods, ${hours} hours`

function row({ name, result }: NamedResult): string {
  const cells = COLUMNS.map(({ value, shown }) => `<td>${escapeHtml(shown(value(result)))}</td>`)
  return `<tr><td><strong>${escapeHtml(name)}</strong></td>${cells.join('')}</tr>`
}

function settings(options: FleetOptions): string {
  return Object.entries(FLEET_FLAGS)
    .map(([name, { option, doc }]) => {
      const value = options[option]
      const shown = option.endsWith('Ms') && typeof value === 'number' ? formatDuration(value) : String(value)
      return `<tr><td><code>${escapeHtml(name)}</code></td><td>${escapeHtml(shown)}</td><td class="dim">${escapeHtml(doc)}</td></tr>`
    })
    .join('\n')
}

const WIDTH = 1000
const HEIGHT = 220
const LEFT = 52
const BOTTOM = 24

const perSecond = (minutes: readonly number[]): readonly number[] => minutes.map((calls) => calls / 60)

function plot({ name, result }: NamedResult, peak: number): string {
  const calls = perSecond(result.minutes.calls)
  const refused = perSecond(result.minutes.refused)
  const { quota, accounts, regions, hours } = result.options
  const x = (minute: number): number => LEFT + ((WIDTH - LEFT) * minute) / Math.max(1, calls.length - 1)
  const y = (value: number): number => (HEIGHT - BOTTOM) * (1 - value / peak) + 4
  const points = (values: readonly number[]): string =>
    values.map((value, minute) => `${x(minute).toFixed(1)},${y(value).toFixed(1)}`).join(' ')
  const limit = quota * accounts * regions
  const hoursShown = [0, 0.25, 0.5, 0.75, 1].map((share) => share * hours)
  return `<figure style="margin:1rem 0"><figcaption><strong>${escapeHtml(name)}</strong></figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="STS calls per second: ${escapeHtml(name)}">
<line class="axis" x1="${LEFT}" y1="${y(0)}" x2="${WIDTH}" y2="${y(0)}"/>
${[0.5, 1].map((share) => `<line class="axis" x1="${LEFT}" y1="${y(peak * share)}" x2="${WIDTH}" y2="${y(peak * share)}"/><text class="tick" x="${LEFT - 6}" y="${y(peak * share) + 4}" text-anchor="end">${(peak * share).toFixed(peak < 10 ? 1 : 0)}</text>`).join('')}
${hoursShown.map((hour) => `<text class="tick" x="${x((hour / hours) * (calls.length - 1)).toFixed(0)}" y="${HEIGHT - 4}" text-anchor="${hour === hours ? 'end' : 'start'}">${Number(hour.toFixed(1))} h</text>`).join('')}
${limit <= peak ? `<line class="quota" x1="${LEFT}" y1="${y(limit)}" x2="${WIDTH}" y2="${y(limit)}"/>` : ''}
<polygon class="refused" points="${LEFT},${y(0)} ${points(refused)} ${x(refused.length - 1)},${y(0)}"/>
<polyline class="calls" points="${points(calls)}"/>
</svg></figure>`
}
