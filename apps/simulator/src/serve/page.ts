import { digText } from '../cluster/objects.ts'
import { PAGE_STYLE, escapeHtml as text } from '../output/html.ts'
import type { ServedWorld } from './served-world.ts'
import { WORLD_FAULTS } from './world-faults.ts'

/** The page of a served world, as it is this moment. It reloads itself; it needs no script. */
export function renderPage(served: ServedWorld, token: string): string {
  const { scenario, world, agents, self } = served
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="3">
<title>${text(scenario.name)} · kube2iam-sim</title>
<style>${PAGE_STYLE}
form { display: inline; } button { font: inherit; padding: .3rem .8rem; margin: 0 .4rem .4rem 0; border: 1px solid var(--line); border-radius: 6px; background: var(--panel); color: var(--ink); cursor: pointer; }
button[aria-pressed=true] { border-color: var(--bad); color: var(--bad); font-weight: 600; }
</style></head><body>
<h1>${text(scenario.name)}</h1>
<p>${[...agents].map(([node, agent]) => `agent on ${text(node)}: <code>${text(agent.metadataUrl)}</code>`).join(' · ')}${
    self === undefined ? '' : ` · this machine is pod <code>${text(self)}</code>`
  }</p>
<h2>Break something</h2>
<div>${WORLD_FAULTS.map(
    ({ name, title }) =>
      `<form method="post" action="/faults"><input type="hidden" name="token" value="${text(token)}"><button name="fault" value="${text(name)}" aria-pressed="${served.broken.has(name)}">${text(title)}</button></form>`,
  ).join('')}</div>
<h2>Pods</h2>
${table(
  ['pod', 'node', 'address', 'asks for', 'last answer'],
  world.api
    .list('Pod')
    .map((pod) => {
      const key = `${pod.metadata.namespace}/${pod.metadata.name}`
      const last = served.requests.find((request) => request.pod === key && request.route !== 'token')
      return [
        text(key),
        text(digText(pod, 'spec', 'nodeName') ?? ''),
        `<code>${text(digText(pod, 'status', 'podIP') ?? '')}</code>`,
        text(pod.metadata.annotations?.['iam.amazonaws.com/role'] ?? '–'),
        last === undefined ? '' : outcome(last.status, last.outcome),
      ]
    })
    .toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)),
)}
<h2>Sessions that STS issued</h2>
${table(
  ['at', 'role', 'session', 'access key', 'until'],
  world.sts.calls
    .filter(({ issued }) => issued !== undefined)
    .slice(-50)
    .toReversed()
    .map(({ at, requestParameters, issued }) => [
      time(at.toISOString()),
      text(requestParameters['RoleArn'] ?? ''),
      text(requestParameters['RoleSessionName'] ?? ''),
      `<code>${text(issued?.accessKeyId ?? '')}</code>`,
      time(issued?.expiration.toISOString() ?? ''),
    ]),
)}
<h2>Recent requests</h2>
${table(
  ['at', 'pod', 'address', 'route', 'answer', 'took'],
  served.requests
    .slice(0, 50)
    .map((request) => [
      time(request.time),
      text(request.pod ?? '–'),
      `<code>${text(request.peer)}</code>`,
      text(request.route),
      outcome(request.status, request.outcome),
      `${request.durationMs.toFixed(1)} ms`,
    ]),
)}
</body></html>
`
}

/** Cells are HTML already. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '<p>None yet.</p>'
  return `<div class="scroll"><table><thead><tr>${head.map((title) => `<th>${text(title)}</th>`).join('')}</tr></thead><tbody>${rows
    .map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join('')}</tr>`)
    .join('')}</tbody></table></div>`
}

const outcome = (status: number, what: string): string =>
  `<span class="${status < 400 && what === 'ok' ? 'good' : 'bad'}">${status} ${text(what)}</span>`

const time = (instant: string): string => text(instant.slice(11, 19))
