// A process of its own: asks for the documents of all pods, each from its own address, as fast as they are answered.
//   node load.ts PORT SECONDS CONNECTIONS
import { request } from 'node:http'
import { addressOf, PODS, roleOf } from './world.ts'

const [port = 0, seconds = 0, connections = 0] = process.argv.slice(2).map(Number)
const end = performance.now() + seconds * 1_000
const tally = { ok: 0, other: 0 }
const latencies: number[] = []
let next = 0

function ask(): Promise<void> {
  const pod = next % PODS
  next += 1
  const path = `/latest/meta-data/iam/security-credentials/${roleOf(pod)}`
  const begun = performance.now()
  return new Promise((resolve) => {
    const sent = request(
      { host: '127.0.0.1', port, path, localAddress: addressOf(pod), agent: false },
      (answer) => {
        if (answer.statusCode === 200) tally.ok += 1
        else tally.other += 1
        answer.resume()
        answer.on('end', () => {
          if (next % 16 === 0) latencies.push(performance.now() - begun)
          resolve()
        })
      },
    )
    sent.on('error', () => {
      tally.other += 1
      resolve()
    })
    sent.end()
  })
}

await Promise.all(
  Array.from({ length: connections }, async () => {
    while (performance.now() < end) await ask()
  }),
)
latencies.sort((a, b) => a - b)
const p99Ms = latencies[Math.floor(latencies.length * 0.99)]
process.stdout.write(JSON.stringify({ ...tally, p99Ms, perSecond: tally.ok / seconds }))
