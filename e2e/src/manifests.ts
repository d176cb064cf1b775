import { parseAllDocuments } from 'yaml'
import { NODE_NAME } from './cluster.ts'
import { kustomize } from './kustomize.ts'
import { mustRun, run } from './lab/command.ts'
import { ADDRESSES } from './lab/lab.ts'

const KUSTOMIZE = new URL('../../deploy/kustomize/', import.meta.url).pathname

export interface RbacRule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
  readonly resourceNames?: readonly string[]
}

export interface Container {
  readonly name: string
  readonly args: readonly string[]
  readonly env: readonly { readonly name: string; readonly valueFrom?: { fieldRef: { fieldPath: string } } }[]
  readonly securityContext: {
    readonly runAsUser: number
    readonly privileged: boolean
    readonly allowPrivilegeEscalation: boolean
    readonly readOnlyRootFilesystem: boolean
    readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] }
  }
  readonly volumeMounts: readonly {
    readonly name: string
    readonly mountPath: string
    readonly readOnly?: boolean
  }[]
  readonly resources: { readonly requests?: object; readonly limits?: object }
  readonly readinessProbe?: { readonly periodSeconds?: number; readonly failureThreshold?: number }
}

export interface PodSpec {
  readonly initContainers: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes: readonly {
    readonly name: string
    readonly hostPath?: { readonly path: string; readonly type: string }
    readonly emptyDir?: object
  }[]
  readonly [field: string]: unknown
}

/** What `kubectl kustomize` makes of a folder, as far as the tests look at it. */
export interface Rendered {
  readonly objects: readonly RenderedObject[]
  readonly rules: readonly RbacRule[]
  readonly daemonSet: RenderedObject & {
    readonly spec: { readonly minReadySeconds?: number; readonly template: { readonly spec: PodSpec } }
  }
}

export interface RenderedObject {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly rules?: readonly RbacRule[]
  readonly [field: string]: unknown
}

/** Renders `deploy/kustomize/<folder>` by kubectl, or by what we have for it where kubectl is too old. */
export async function render(folder: string): Promise<Rendered> {
  return sort((await kubectlKnowsComponents()) ? await byKubectl(folder) : byHand(folder))
}

export async function byKubectl(folder: string): Promise<RenderedObject[]> {
  const text = await mustRun(['kubectl', 'kustomize', KUSTOMIZE + folder], { env: { HOME: '/nonexistent' } })
  return parseAllDocuments(text).map((document) => document.toJS() as RenderedObject)
}

export const byHand = (folder: string): RenderedObject[] => kustomize(KUSTOMIZE + folder)

/** Components came to kubectl with kustomize 4, in 1.21. */
export async function kubectlKnowsComponents(): Promise<boolean> {
  const version = await run(['kubectl', 'version', '--client', '--output=json'], {
    env: { HOME: '/nonexistent' },
  })
  return Number(/"minor": "(\d+)/.exec(version.stdout)?.[1] ?? 0) >= 21
}

/** Picks out what the tests look at. */
export function sort(objects: readonly RenderedObject[]): Rendered {
  const daemonSet = objects.find(({ kind }) => kind === 'DaemonSet')
  if (daemonSet === undefined) throw new Error('no DaemonSet is rendered')
  const rules = objects.flatMap((object) => object.rules ?? [])
  return { objects, rules, daemonSet: daemonSet as Rendered['daemonSet'] }
}

/** A container's args with `$(NAME)` replaced as the kubelet does it; an unknown name stays as it is. */
export function expand(args: readonly string[], values: Readonly<Record<string, string>>): string[] {
  return args.map((arg) => arg.replaceAll(/\$\((\w+)\)/g, (whole, name: string) => values[name] ?? whole))
}

/** The variables that a container gets from the downward API, on the lab's node. */
export const fieldsOf = (container: Container): Record<string, string> =>
  Object.fromEntries(
    container.env.map(({ name, valueFrom }) => [name, FIELDS[valueFrom?.fieldRef.fieldPath ?? ''] ?? '']),
  )

/** https://kubernetes.io/docs/concepts/workloads/pods/downward-api/#downwardapi-fieldRef */
const FIELDS: Readonly<Record<string, string>> = {
  'spec.nodeName': NODE_NAME,
  'status.hostIP': ADDRESSES.node,
  'status.hostIPs': `${ADDRESSES.node},${ADDRESSES.node6}`,
  'metadata.namespace': 'kube-system',
}

/** What a request to the API server asks to be allowed, as its authorizer sees it. */
export interface ApiAction {
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly name: string | undefined
}

const VERBS: Readonly<Record<string, string>> = {
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
}

/** https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb */
export function actionOf(method: string, path: string): ApiAction | undefined {
  const { pathname, searchParams } = new URL(path, 'http://api')
  const segments = pathname.split('/').filter(Boolean)
  const rest =
    segments[0] === 'api' ? segments.slice(2) : segments[0] === 'apis' ? segments.slice(3) : undefined
  if (rest === undefined) return undefined
  const group = segments[0] === 'apis' ? (segments[1] ?? '') : ''
  const [resource = '', name] = rest[0] === 'namespaces' && rest.length > 2 ? rest.slice(2) : rest
  const reading = searchParams.has('watch') ? 'watch' : name === undefined ? 'list' : 'get'
  return { verb: VERBS[method] ?? reading, group, resource, name }
}

/** Whether one of the rules allows the action. */
export function isAllowed(action: ApiAction, rules: readonly RbacRule[]): boolean {
  const { verb, group, resource, name } = action
  return rules.some(
    (rule) =>
      rule.apiGroups.includes(group) &&
      rule.resources.includes(resource) &&
      rule.verbs.includes(verb) &&
      (rule.resourceNames === undefined || (name !== undefined && rule.resourceNames.includes(name))),
  )
}
