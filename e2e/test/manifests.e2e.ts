import { readdirSync, readFileSync } from 'node:fs'
import { explainProblems, parseSettings } from '@kube2iam-ts/agent-runtime'
import { beforeAll, describe, expect, test } from 'vitest'
import { findCommand, mustSkip } from '../src/lab/requirements.ts'
import {
  actionOf,
  byHand,
  byKubectl,
  expand,
  fieldsOf,
  isAllowed,
  kubectlKnowsComponents,
  type Rendered,
  render,
  sort,
} from '../src/manifests.ts'

const KUSTOMIZE = new URL('../../deploy/kustomize/', import.meta.url)
const overlays = readdirSync(new URL('overlays/', KUSTOMIZE)).map((name) => `overlays/${name}`)
const settingsOf = ({ daemonSet }: Rendered) => {
  const [main] = daemonSet.spec.template.spec.containers
  return parseSettings({ args: expand(main!.args, fieldsOf(main!)) })
}

describe.skipIf(findCommand('kubectl') === undefined && mustSkip('the manifests', ['kubectl']))(
  'deploy/kustomize',
  () => {
    const rendered = new Map<string, Rendered>()
    const of = (folder: string): Rendered => rendered.get(folder)!

    beforeAll(async () => {
      for (const folder of ['base', ...overlays]) rendered.set(folder, await render(folder))
    })

    test.each(['base', ...overlays])(
      '%s: what stands in for an old kubectl renders the same',
      async (folder) => {
        if (!(await kubectlKnowsComponents())) return
        const own = sort(byHand(folder))
        const { rules, daemonSet, objects } = sort(await byKubectl(folder))
        expect(own.rules.toSorted(byText)).toEqual(rules.toSorted(byText))
        expect(own.daemonSet.metadata).toMatchObject({ name: 'kube2iam', namespace: 'kube-system' })
        expect(withoutImages(own)).toEqual(withoutImages({ rules, daemonSet, objects }))
      },
    )

    test.each(['base', ...overlays])('%s: the agent accepts its arguments', (folder) => {
      const parsed = settingsOf(of(folder))
      expect(parsed.kind, parsed.kind === 'invalid' ? explainProblems(parsed.problems) : '').toBe('settings')
    })

    test('the base requires tokens, keeps metrics off the port of pods, and knows its own DaemonSet', () => {
      const parsed = settingsOf(of('base'))
      if (parsed.kind !== 'settings') throw new Error(parsed.kind)
      const { metadata } = of('base').daemonSet
      expect(parsed.settings).toMatchObject({ imdsTokens: 'required', iptables: true, metricsPort: 8183 })
      expect(parsed.settings.appPort).not.toBe(parsed.settings.metricsPort)
      expect(parsed.settings.daemonset).toBe(`${metadata.namespace}/${metadata.name}`)
    })

    test.each(['base', ...overlays])('%s: every container has the least rights', (folder) => {
      const { containers, initContainers } = of(folder).daemonSet.spec.template.spec
      const least = {
        runAsUser: 0,
        privileged: false,
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] },
        seccompProfile: { type: 'RuntimeDefault' },
      }
      const more = {
        capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW', 'SYS_ADMIN'] },
        appArmorProfile: { type: 'Unconfined' },
      }
      for (const { securityContext } of initContainers) expect(securityContext).toEqual(least)
      for (const { securityContext } of containers) {
        expect(securityContext).toEqual(
          folder === 'overlays/interception-probe' ? { ...least, ...more } : least,
        )
      }
    })

    test('it runs on every node, is not evicted first, and is rolled without a gap', () => {
      const { spec } = of('base').daemonSet
      expect(spec).toMatchObject({
        updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        template: {
          spec: {
            hostNetwork: true,
            priorityClassName: 'system-node-critical',
            tolerations: [{ operator: 'Exists' }],
          },
        },
      })
      const [main] = spec.template.spec.containers
      expect(main!.resources.limits).not.toHaveProperty('cpu')
      // A surge needs both agents on one node: no host port may stand in the way.
      expect(main).not.toHaveProperty('ports')
    })

    test('a new agent that never becomes ready does not pass by the answers of the old one', () => {
      // What Kubernetes takes where nothing is said: kubernetes.io/docs/concepts/workloads/pods/probes
      const { minReadySeconds = 0, template } = of('base').daemonSet.spec
      const { periodSeconds = 10, failureThreshold = 3 } = template.spec.containers[0]!.readinessProbe ?? {}
      expect(failureThreshold).toBe(1)
      // Both listen on the port of the probes, and the kernel chooses: each probe has a chance of a half.
      const probes = minReadySeconds / periodSeconds
      expect(0.5 ** probes).toBeLessThan(1e-8)
    })

    test('the base may read pods, namespaces and nodes and write events, and nothing else of the cluster', () => {
      const rules = of('base').rules.map(({ apiGroups, resources, verbs, resourceNames }) =>
        [apiGroups.join(), resources.join(), verbs.join(), resourceNames?.join() ?? ''].join(' '),
      )
      expect(rules.toSorted()).toEqual(
        [
          ' namespaces list,watch ',
          ' nodes get ',
          ' pods list,watch ',
          'apps daemonsets get kube2iam',
          'events.k8s.io events create ',
        ].toSorted(),
      )
    })

    test('dual-stack tells the agent and what goes before it both addresses of the node', () => {
      const { containers, initContainers } = of('overlays/dual-stack').daemonSet.spec.template.spec
      for (const container of [...initContainers, ...containers]) {
        expect(expand(container.args, fieldsOf(container))).toContain('--host-ip=192.168.77.10,fd00:77::10')
      }
      const [main] = of('base').daemonSet.spec.template.spec.containers
      expect(expand(main!.args, fieldsOf(main!))).toContain('--host-ip=192.168.77.10')
    })

    test.each([
      ['overlays/container-credentials', 'POST', '/apis/authentication.k8s.io/v1/tokenreviews'],
      ['overlays/startup-taint', 'PATCH', '/api/v1/nodes/node-a'],
      ['overlays/service-account-roles', 'GET', '/api/v1/serviceaccounts?watch=1'],
    ])('%s brings the right to %s %s, which the base does not have', (folder, method, path) => {
      const action = actionOf(method, path)!
      expect(isAllowed(action, of(folder).rules)).toBe(true)
      expect(isAllowed(action, of('base').rules)).toBe(false)
    })

    test('the image starts the agent itself, with the flags that the tests use', async () => {
      const { NODE_FLAGS } = await import('../src/agent.ts')
      const dockerfile = readFileSync(new URL('../container/Dockerfile', KUSTOMIZE), 'utf8')
      const entrypoint = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(dockerfile)?.[1] ?? '') as string[]
      expect(entrypoint).toEqual(['/usr/local/bin/node', ...NODE_FLAGS, '/opt/kube2iam/main.cjs'])
      expect(dockerfile).toContain(`node ${NODE_FLAGS.join(' ')} /opt/kube2iam/main.cjs`)
    })
  },
)

const byText = (a: unknown, b: unknown) => JSON.stringify(a).localeCompare(JSON.stringify(b))

const withoutImages = ({ daemonSet }: Rendered) =>
  JSON.parse(
    JSON.stringify(daemonSet.spec.template.spec).replaceAll(/"image":"[^"]*"/g, '"image":""'),
  ) as unknown
