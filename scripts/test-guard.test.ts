import dgram from 'node:dgram'
import http from 'node:http'
import net from 'node:net'
import { expect, test } from 'vitest'

// The addresses are documentation ranges (RFC 5737, RFC 3849): even without the guard nothing would answer.
test.each([
  ['net.connect with options', () => net.connect({ host: '192.0.2.1', port: 80 })],
  ['net.connect with port and host', () => net.connect(80, '192.0.2.1')],
  ['http.get', () => http.get('http://192.0.2.1/')],
  ['an IPv6 address', () => net.connect({ host: '2001:db8::1', port: 80 })],
  ['a name', () => net.connect({ host: 'sts.example.com', port: 443 })],
  ['a datagram', () => dgram.createSocket('udp4').send('x', 53, '192.0.2.1')],
])('%s beyond loopback is refused', (_how, connect) => {
  expect(connect).toThrow(/Tests may talk to loopback only/)
})

test('fetch beyond loopback is refused', async () => {
  await expect(fetch('http://192.0.2.1/')).rejects.toMatchObject({
    cause: { message: expect.stringContaining('Tests may talk to loopback only') as string },
  })
})

test('loopback works', async () => {
  const server = http.createServer((_request, response) => response.end('here'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('here')
  await new Promise((resolve) => server.close(resolve))
})
