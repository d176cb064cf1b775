import type * as Http from 'node:http'

/**
 * `node:http` without its ESM facade: importing it by name evaluates every lazy getter of the module (the WebSocket
 * and fetch globals among them), which costs each agent about 12 MB of memory.
 */
export const http: typeof Http = process.getBuiltinModule('node:http')
