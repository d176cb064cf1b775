import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { createTcpReach } from '../src/index.ts'
import { createFakeNetfilter } from '../src/testing.ts'
import { reachContract } from './reach.contract.ts'

reachContract('TCP', () => ({
  reach: createTcpReach({ timeoutMs: 30_000 }),
  async listen() {
    const server = createServer((socket) => socket.on('error', () => {})).listen({
      host: '127.0.0.1',
      port: 0,
    })
    await once(server, 'listening')
    const { address, port } = server.address() as AddressInfo
    return {
      address,
      port,
      async close() {
        server.close()
        await once(server, 'close')
      },
    }
  },
}))

reachContract('the fake netfilter', () => {
  const { reach, listening } = createFakeNetfilter()
  return {
    reach,
    async listen() {
      listening.add('10.0.0.1:8181')
      return {
        address: '10.0.0.1',
        port: 8181,
        close: async () => void listening.delete('10.0.0.1:8181'),
      }
    },
  }
})
