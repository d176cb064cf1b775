// A program for namespaces: a server that says who it is, or a client that asks and prints who answered.
import { Agent, createServer, get } from 'node:http'

const [role = '', host = '', port = '', third = ''] = process.argv.slice(2)

if (role === 'serve') {
  createServer((request, response) => response.end(`${third} to ${request.socket.remoteAddress ?? ''}\n`))
    .listen({ host, port: Number(port) }, () => process.stdout.write('listening\n'))
    .on('error', (error) => process.stdout.write(`${error.message}\n`))
} else {
  // One line per answer: the server's words, or the error's code. `keep` asks on one connection, `fresh` on new ones.
  const agent = new Agent({ keepAlive: role === 'keep', maxSockets: 1 })
  const gapMs = Number(third || '20')
  const ask = (): void => {
    const request = get({ host, port: Number(port), agent, timeout: 1_000 }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => done(text.trim()))
    })
    request.on('timeout', () => request.destroy(Object.assign(new Error('timeout'), { code: 'TIMEOUT' })))
    request.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message))
  }
  const done = (line: string): void => {
    process.stdout.write(`${line}\n`)
    if (role !== 'once') setTimeout(ask, gapMs)
  }
  ask()
}
