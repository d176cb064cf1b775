// The part of undici that is used, for the bundle: its index also loads fetch, WebSocket, caches and mocks.
const Dispatcher = require('undici/lib/dispatcher/dispatcher')
Object.assign(Dispatcher.prototype, { request: require('undici/lib/api/api-request') })
exports.Agent = require('undici/lib/dispatcher/agent')
exports.Pool = require('undici/lib/dispatcher/pool')
exports.ProxyAgent = require('undici/lib/dispatcher/proxy-agent')
