// Runs inside a pod: asks for the pod's own credentials without a pause, on new connections and on kept ones, and
// counts what failed. As every HTTP client does, it asks again where a kept connection was closed before any byte
// of the answer came (RFC 9112 section 9.3.1); anything else that goes wrong is a failure.
import { Agent, get, request as open } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { LoadReport } from './report.ts'

const [host = '', role = ''] = process.argv.slice(2)
const kept = new Agent({ keepAlive: true, maxSockets: 2 })
const failures: LoadReport['failures'][number][] = []
let requests = 0
let repeated = 0

interface Answer {
  readonly status: number
  readonly body: string
  readonly reused: boolean
  readonly error: string | undefined
}

function ask(options: {
  path: string
  method?: string
  headers?: Record<string, string>
  agent: Agent | false
}) {
  return new Promise<Answer>((resolve) => {
    const started =
      options.method === 'PUT'
        ? open({ host, timeout: 3_000, ...options }).end()
        : get({ host, timeout: 3_000, ...options })
    const fail = (error: Error) =>
      resolve({ status: 0, body: '', reused: started.reusedSocket, error: error.message })
    started.on('timeout', () => started.destroy(new Error('no answer within three seconds')))
    started.on('error', fail)
    started.on('response', (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('error', fail)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body, reused: started.reusedSocket, error: undefined }),
      )
    })
  })
}

async function once(agent: Agent | false): Promise<void> {
  const startedAt = Date.now()
  let answer = await fetchDocument(agent)
  if (answer.status === 0 && answer.reused) {
    repeated += 1
    answer = await fetchDocument(agent)
  }
  requests += 1
  const good = answer.status === 200 && answer.body.includes('"AccessKeyId"')
  if (!good) failures.push({ startedAt, status: answer.status, error: answer.error, kept: agent !== false })
}

let token: string | undefined

async function fetchDocument(agent: Agent | false): Promise<Answer> {
  const headers = token === undefined ? {} : { 'X-aws-ec2-metadata-token': token }
  return ask({ path: `/latest/meta-data/iam/security-credentials/${role}`, headers, agent })
}

async function loop(agent: Agent | false): Promise<void> {
  for (;;) {
    await once(agent)
    await delay(1)
  }
}

process.on('message', () => {
  const report: LoadReport = {
    requests,
    repeated,
    failures: failures.slice(0, 50),
    failureCount: failures.length,
  }
  process.send?.(report)
})
process.on('disconnect', () => process.exit(0))
process.on('SIGTERM', () => process.exit(0))

const put = await ask({
  method: 'PUT',
  path: '/latest/api/token',
  headers: { 'X-aws-ec2-metadata-token-ttl-seconds': '21600' },
  agent: false,
})
// The token outlives every agent that is restarted meanwhile, or requests begin to fail.
token = put.body
process.send?.('started')
await Promise.all([loop(false), loop(false), loop(kept), loop(kept)])
