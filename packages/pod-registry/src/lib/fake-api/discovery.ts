import { RESOURCES, type Resource } from './resources.ts'

const apiResources = (groupVersion: string, resources: readonly Resource[]): object => ({
  kind: 'APIResourceList',
  apiVersion: 'v1',
  groupVersion,
  resources: resources.flatMap((resource) => [
    {
      name: resource.plural,
      singularName: resource.singular,
      namespaced: resource.namespaced,
      kind: resource.kind,
      verbs: resource.verbs,
      shortNames: resource.shortNames,
    },
    ...resource.subresources.map((subresource) => ({
      name: `${resource.plural}/${subresource}`,
      singularName: '',
      namespaced: resource.namespaced,
      kind: resource.kind,
      verbs: ['get', 'patch', 'update'],
    })),
  ]),
})

const groupOf = (name: string, versions: string[]): object => {
  const all = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }))
  return { name, versions: all, preferredVersion: all[0] }
}

const ofGroup = (group: string): Resource[] => RESOURCES.filter((resource) => resource.group === group)

const TOKEN_REVIEW: Resource = {
  kind: 'TokenReview',
  plural: 'tokenreviews',
  singular: 'tokenreview',
  shortNames: [],
  group: 'authentication.k8s.io',
  version: 'v1',
  namespaced: false,
  verbs: ['create'],
  subresources: [],
  fields: {},
  columns: [],
}

/** The documents by which clients find out what the server serves; `undefined` for any other path. */
export function discovery(path: string): object | undefined {
  switch (path) {
    case '/version':
      return { major: '1', minor: '32', gitVersion: 'v1.32.0+fake', platform: 'linux/amd64' }
    case '/api':
      return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
    case '/apis':
      return {
        kind: 'APIGroupList',
        apiVersion: 'v1',
        groups: [
          groupOf('apps', ['v1']),
          groupOf('authentication.k8s.io', ['v1']),
          groupOf('events.k8s.io', ['v1']),
        ],
      }
    case '/api/v1':
      return apiResources('v1', ofGroup(''))
    case '/apis/apps/v1':
      return apiResources('apps/v1', ofGroup('apps'))
    case '/apis/authentication.k8s.io/v1':
      return apiResources('authentication.k8s.io/v1', [TOKEN_REVIEW])
    case '/apis/events.k8s.io/v1':
      return apiResources(
        'events.k8s.io/v1',
        RESOURCES.filter((resource) => resource.kind === 'Event'),
      )
    case '/openapi/v3':
      return {
        paths: {
          'api/v1': { serverRelativeURL: '/openapi/v3/api/v1' },
          'apis/apps/v1': { serverRelativeURL: '/openapi/v3/apis/apps/v1' },
        },
      }
    case '/openapi/v3/api/v1':
      return openApi('/api/v1', ofGroup(''))
    case '/openapi/v3/apis/apps/v1':
      return openApi('/apis/apps/v1', ofGroup('apps'))
    default:
      return undefined
  }
}

/**
 * As much OpenAPI as kubectl reads before it applies: that the server validates fields itself (`fieldValidation` of
 * the patch operation), so that kubectl does not want every schema.
 */
function openApi(prefix: string, resources: readonly Resource[]): object {
  const paths = resources.map((resource) => {
    const scope = resource.namespaced ? `${prefix}/namespaces/{namespace}` : prefix
    const kind = { group: resource.group, version: resource.version, kind: resource.kind }
    const operation = (action: string) => ({
      parameters: ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
        name,
        in: 'query',
        schema: { type: 'string' },
      })),
      responses: { 200: { description: 'OK' } },
      'x-kubernetes-action': action,
      'x-kubernetes-group-version-kind': kind,
    })
    return [
      `${scope}/${resource.plural}/{name}`,
      { patch: operation('patch'), put: operation('put') },
    ] as const
  })
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.32.0' },
    paths: Object.fromEntries(paths),
    components: { schemas: {} },
  }
}
