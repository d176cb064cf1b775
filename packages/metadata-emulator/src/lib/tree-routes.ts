import { type Answer, empty, text } from './answer.ts'
import type { Asker } from './fair-turns.ts'
import { reducedIdentityDocument } from './imds-body.ts'
import { IMDS_VERSIONS } from './imds-versions.ts'
import { IDENTITY_DOCUMENT } from './metadata-allow.ts'
import type { EmulatorSettings } from './settings.ts'
import type { SpareUpstream } from './spare-upstream.ts'
import { isUpstreamError } from './upstream-error.ts'
import type { UpstreamAnswer } from './upstream-port.ts'

export interface TreeRoutes {
  versions(): Answer
  versionIndex(): Answer
  metaDataIndex(version: string, hasRole: boolean, asker: Asker): Promise<Answer>
  read(path: string, below: string, asker: Asker): Promise<Answer>
}

/** Everything that is not credentials: indexes of what is allowed, and what is allowed itself. */
export function createTreeRoutes(options: {
  upstream: SpareUpstream
  settings: EmulatorSettings
}): TreeRoutes {
  const { upstream } = options
  const { allow } = options.settings

  const ask = async (path: string, asker: Asker): Promise<Answer> => {
    try {
      return passOn(await upstream.get(path, asker))
    } catch (error) {
      if (isUpstreamError(error)) return empty(503, 'upstream-unavailable')
      throw error
    }
  }

  const reduced = async (asker: Asker): Promise<Answer> => {
    const [zone, region] = await Promise.all([
      ask('/latest/meta-data/placement/availability-zone', asker),
      ask('/latest/meta-data/placement/region', asker),
    ])
    if (zone.status !== 200) return zone
    if (region.status !== 200) return region
    return text(reducedIdentityDocument(zone.body.toString(), region.body.toString()))
  }

  return {
    versions: () => text(IMDS_VERSIONS.join('\n')),
    versionIndex() {
      const names = ['meta-data']
      if (allow.insecure !== undefined || allow.list('dynamic') !== undefined) names.unshift('dynamic')
      if (allow.allows('user-data')) names.push('user-data')
      return text(names.join('\n'))
    },
    async metaDataIndex(version, hasRole, asker) {
      let names = allow.list('meta-data') ?? []
      if (allow.insecure !== undefined) {
        const all = await ask(`/${version}/meta-data`, asker)
        if (all.status !== 200) return all
        names = all.body
          .toString()
          .split('\n')
          .filter((name) => name !== '' && name !== 'iam/' && !/credential/i.test(name))
      }
      return text((hasRole ? [...names, 'iam/'].sort() : names).join('\n'))
    },
    async read(path, below, asker) {
      if (below === IDENTITY_DOCUMENT && allow.reducedIdentityDocument) return await reduced(asker)
      if (allow.allows(below)) return await ask(path, asker)
      const names = allow.list(below)
      return names === undefined ? empty(404, 'not-served') : text(names.join('\n'))
    },
  }
}

const PASSED_HEADERS = ['Last-Modified', 'Accept-Ranges'] as const

/** The upstream's word with the headers that mean something; a redirect or an error of its own is not passed on. */
function passOn({ status, headers, body }: UpstreamAnswer): Answer {
  if (status !== 200 && status !== 404) {
    return status === 403 ? empty(404, 'not-found') : empty(503, 'upstream-unavailable')
  }
  const passed = PASSED_HEADERS.flatMap((name) => {
    const value = headers[name.toLowerCase()]
    return value === undefined ? [] : [name, value]
  })
  return {
    status,
    outcome: status === 200 ? 'ok' : 'not-found',
    body,
    type: headers['content-type'] ?? 'text/plain',
    pod: undefined,
    headers: passed,
  }
}
