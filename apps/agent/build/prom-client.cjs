// The part of prom-client that is used, for the bundle.
exports.Registry = require('prom-client/lib/registry')
exports.Counter = require('prom-client/lib/counter')
exports.Gauge = require('prom-client/lib/gauge')
exports.Histogram = require('prom-client/lib/histogram')
