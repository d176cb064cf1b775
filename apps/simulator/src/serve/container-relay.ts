import http from 'node:http'
import type { AddressInfo } from 'node:net'

/** Lets tools on this machine speak the container-credentials protocol, which the agent serves under 169.254.170.23 only. */
export interface ContainerRelay {
  /** For `AWS_CONTAINER_CREDENTIALS_FULL_URI`. */
  readonly uri: string
  close(): Promise<void>
}

/** Passes requests on to the agent from the address that they came from, under the name that the agent expects. */
export async function startContainerRelay(agentUrl: () => string): Promise<ContainerRelay> {
  const server = http.createServer((request, response) => {
    const { hostname, port } = new URL(agentUrl())
    const authorization = request.headers.authorization
    const onward = http.request(
      {
        hostname,
        port,
        path: request.url,
        method: request.method,
        localAddress: request.socket.remoteAddress,
        headers: { host: '169.254.170.23', ...(authorization === undefined ? {} : { authorization }) },
        agent: false,
      },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      },
    )
    onward.on('error', () => {
      if (!response.headersSent) response.writeHead(502)
      response.end()
    })
    request.pipe(onward)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    uri: `http://127.0.0.1:${port}/v1/credentials`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
