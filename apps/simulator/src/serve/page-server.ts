import { randomBytes, timingSafeEqual } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { renderPage } from './page.ts'
import type { ServedWorld } from './served-world.ts'

export interface PageServer {
  readonly url: string
  close(): Promise<void>
}

const LARGEST_FORM = 4096

/**
 * Serves the page on loopback. Other web pages that a person has open can send requests here: only requests to this
 * very address are answered, and faults need the token that stands in the page.
 */
export async function startPageServer(served: ServedWorld, port = 0): Promise<PageServer> {
  const token = randomBytes(16).toString('hex')
  let origin = ''
  const server = http.createServer((request, response) => {
    void answer(request, response)
  })

  async function answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const send = (status: number, body: string, headers: Record<string, string> = {}): void => {
      response.writeHead(status, {
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
        'content-security-policy':
          "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'same-origin',
        ...headers,
      })
      response.end(body)
    }
    if (`http://${request.headers.host ?? ''}` !== origin)
      return send(403, 'This page answers under its own address only.')
    if (request.url === '/' && request.method === 'GET') return send(200, renderPage(served, token))
    if (request.url === '/faults' && request.method === 'POST') {
      const form = new URLSearchParams(await bodyOf(request))
      if (!isToken(form.get('token') ?? '', token)) return send(403, 'The page is out of date; reload it.')
      if (!served.toggle(form.get('fault') ?? '')) return send(400, 'There is no such fault.')
      return send(303, '', { location: '/' })
    }
    return send(404, 'Not found.')
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url: `${origin}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function bodyOf(request: http.IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) {
    body += String(chunk)
    if (body.length > LARGEST_FORM) return ''
  }
  return body
}

const isToken = (given: string, token: string): boolean =>
  given.length === token.length && timingSafeEqual(Buffer.from(given), Buffer.from(token))
