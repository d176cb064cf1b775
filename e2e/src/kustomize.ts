import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'

/*
 * The part of kustomize that deploy/kustomize uses, for machines whose kubectl is too old for components (Debian 12
 * has 1.20). A test holds it to the real one where that is there.
 */

export interface KubernetesObject {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly [field: string]: unknown
}

interface Kustomization {
  readonly namespace?: string
  readonly resources?: readonly string[]
  readonly components?: readonly string[]
  readonly patches?: readonly {
    readonly target: { readonly kind: string; readonly name: string }
    readonly patch: string
  }[]
}

interface Operation {
  readonly op: 'add' | 'replace' | 'test'
  readonly path: string
  readonly value: unknown
}

/** Renders a folder with a kustomization.yaml; labels and image names are left as they are. */
export function kustomize(folder: string): KubernetesObject[] {
  const kustomization = parse(readFileSync(join(folder, 'kustomization.yaml'), 'utf8')) as Kustomization
  const objects = (kustomization.resources ?? []).flatMap((resource) => {
    const path = join(folder, resource)
    if (statSync(path).isDirectory()) return kustomize(path)
    // `yaml` follows the anchors that the manifests use for what containers have in common. A patch of one container
    // is none of the other, so each gets its own copy.
    return parseAllDocuments(readFileSync(path, 'utf8')).map(
      (document) => JSON.parse(JSON.stringify(document.toJS())) as KubernetesObject,
    )
  })
  applyPatches(objects, kustomization)
  for (const component of kustomization.components ?? []) {
    const path = join(folder, component, 'kustomization.yaml')
    applyPatches(objects, parse(readFileSync(path, 'utf8')) as Kustomization)
  }
  const { namespace } = kustomization
  if (namespace === undefined) return objects
  return objects.map((object) =>
    object.kind.startsWith('Cluster') ? object : { ...object, metadata: { ...object.metadata, namespace } },
  )
}

function applyPatches(objects: readonly KubernetesObject[], { patches = [] }: Kustomization): void {
  for (const { target, patch } of patches) {
    const chosen = objects.filter(
      ({ kind, metadata }) => kind === target.kind && metadata.name === target.name,
    )
    if (chosen.length === 0)
      throw new Error(`a patch is for ${target.kind} ${target.name}, which is not there`)
    for (const object of chosen)
      for (const operation of parse(patch) as Operation[]) change(object, operation)
  }
}

/** One operation of RFC 6902, on the object itself. */
function change(object: object, { op, path, value }: Operation): void {
  const keys = path.split('/').slice(1)
  const last = keys.pop() ?? ''
  const parent = keys.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], object)
  if (op === 'test') {
    const found = (parent as Record<string, unknown>)[last]
    if (found !== value)
      throw new Error(`a patch wants ${String(value)} at ${path}, and it is ${String(found)}`)
  } else if (Array.isArray(parent) && op === 'add') {
    parent.splice(last === '-' ? parent.length : Number(last), 0, value)
  } else (parent as Record<string, unknown>)[last] = value
}
