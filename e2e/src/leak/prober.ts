// Runs inside a pod and asks for the node's secrets as fast as is decent, on new connections and on one that it keeps
// open, and remembers every answer with the canary in it. Steered over Node's IPC.
import { Agent, get } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Leak, ProbeQuery, ProbeReport } from './report.ts'

const completed: number[] = []
const [host = '', canary = '', ...paths] = process.argv.slice(2)
const keptAlive = new Agent({ keepAlive: true, maxSockets: 1 })
const leaks: Leak[] = []
const outcomes: Record<string, number> = {}
const answeredAt = { new: 0, kept: 0 }
let requests = 0

async function ask(path: string, connection: Leak['connection']): Promise<void> {
  const startedAt = Date.now()
  const agent = connection === 'kept' ? keptAlive : false
  const { outcome, body } = await new Promise<{ outcome: string; body: string }>((resolve) => {
    const request = get({ host, path, agent, timeout: 1_000 }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ outcome: String(response.statusCode), body: text }))
      response.on('error', (error) => resolve({ outcome: error.message, body: text }))
    })
    request.on('timeout', () => request.destroy(new Error('ETIMEDOUT')))
    request.on('error', (error: NodeJS.ErrnoException) =>
      resolve({ outcome: error.code ?? error.message, body: '' }),
    )
  })
  requests += 1
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  if (/^\d+$/.test(outcome)) answeredAt[connection] = startedAt
  if (body.includes(canary)) leaks.push({ startedAt, endedAt: Date.now(), path, connection })
}

async function loop(connection: Leak['connection'], pauseMs: number): Promise<void> {
  const own = completed.push(0) - 1
  for (let turn = 0; ; turn++) {
    await ask(paths[turn % paths.length] ?? '/', connection)
    completed[own] = turn + 1
    await delay(pauseMs)
  }
}

process.on('message', ({ since }: ProbeQuery) => {
  const chosen = leaks.filter((leak) => leak.startedAt >= since)
  const report: ProbeReport = {
    requests,
    completed,
    outcomes,
    leaks: chosen.slice(0, 20),
    leakCount: chosen.length,
    answered: { new: answeredAt.new >= since, kept: answeredAt.kept >= since },
  }
  process.send?.(report)
})
process.on('disconnect', () => process.exit(0))
process.on('SIGTERM', () => process.exit(0))
await Promise.all([loop('new', 2), loop('new', 3), loop('kept', 2)])
