import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CLIENTS, type Client, curlCredentials, curlToken } from './clients/clients.ts'
import { type ClusterPod, furnish, runPod } from './cluster.ts'
import { ADDRESSES, createLab, type Lab, type Pod } from './lab/lab.ts'
import { networkNamespaces, ownPrefix } from './lab/owner.ts'
import type { LabProcess } from './lab/process.ts'
import type { WorldOptions } from './world/protocol.ts'
import { NODE_ROLE, startWorld, type World } from './world/world.ts'

/** Every credential-bearing or secret path that an instance has, with some of the spellings that others forward. */
export const SECRET_PATHS = [
  '/latest/meta-data/iam/security-credentials/',
  `/latest/meta-data/iam/security-credentials/${NODE_ROLE}`,
  `/2021-03-23/meta-data/iam/security-credentials/${NODE_ROLE}`,
  `/1.0/meta-data/iam/security-credentials/${NODE_ROLE}`,
  '/latest/meta-data/iam/security-credentials-extended/',
  `/latest/meta-data/iam/security-credentials-extended/${NODE_ROLE}`,
  '/latest/meta-data/iam/info',
  '/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance',
  '/latest/user-data',
  '/latest/dynamic/instance-identity/document',
  '/latest/dynamic/instance-identity/pkcs7',
  `//latest/meta-data/iam/security-credentials/${NODE_ROLE}`,
  `/latest/meta-data/./iam/security-credentials/${NODE_ROLE}`,
  `/latest/meta-data/IAM/security-credentials/${NODE_ROLE}`,
  `/latest/meta-data%2Fiam%2Fsecurity-credentials%2F${NODE_ROLE}`,
]

export interface Started {
  readonly agent: LabProcess
  /** Runs the agent's binary with other arguments, in the same surroundings. */
  command(args: readonly string[]): Promise<{ code: number | undefined; stdout: string; stderr: string }>
}

export type StartAgent = (lab: Lab, world: World) => Promise<Started>

const byName = (...names: readonly string[]): Client[] =>
  CLIENTS.filter((client) => names.includes(client.name))

export interface MainJobOptions {
  /** As the agent's --imds-tokens; `optional` unless told. */
  readonly tokens?: 'optional' | 'required'
  /** More about the world than its defaults. */
  readonly world?: (lab: Lab) => Promise<Partial<WorldOptions>>
  /** Further expectations while the agent still runs. */
  readonly beforeStop?: () => Promise<void>
}

/**
 * The main job on a real network: pods ask 169.254.169.254 and each gets its own role's credentials, whatever way the
 * agent was started. Registers a vitest suite.
 */
export function describeMainJob(title: string, start: StartAgent, options: MainJobOptions = {}): void {
  describe(title, () => {
    let lab: Lab
    let world: World
    let started: Started
    const pods: Record<string, ClusterPod> = {}
    const pod = (name: string): ClusterPod => pods[name]!

    beforeAll(async () => {
      lab = await createLab()
      world = await startWorld(lab, await options.world?.(lab))
      await furnish(world, ['reader', 'team/writer'])
      pods['reader'] = await runPod(lab, world, 'reader', { role: 'reader' })
      pods['writer'] = await runPod(lab, world, 'writer', { role: world.roleArn('team/writer') })
      pods['plain'] = await runPod(lab, world, 'plain')
    })
    afterAll(() => lab?.close())

    test('before the agent is there, every pod has the node role: that is what the agent is for', async () => {
      const [awsCli] = byName('AWS CLI v2')
      const arn = await awsCli!.callerArn({ lab, world, pod: pod('plain') }, 'imds')
      expect(arn).toContain(`:assumed-role/${NODE_ROLE}/`)
    })

    // The rest means nothing without it: a failure here fails them all at once.
    describe('with the agent', () => {
      beforeAll(async () => {
        started = await start(lab, world)
      })

      describe.each(byName('AWS CLI v2', 'AWS SDK for JavaScript v3', 'curl'))('$name', (client) => {
        test.each([
          ['reader', 'reader'],
          ['writer', 'writer'],
        ])('in pod %s ends with its own role', async (name, role) => {
          const arn = await client.callerArn({ lab, world, pod: pod(name) }, 'imds')
          expect(arn).toMatch(new RegExp(`^arn:aws:sts::${world.account}:assumed-role/${role}/`))
        })

        test('in a pod without a role ends with none', async () => {
          await expect(client.callerArn({ lab, world, pod: pod('plain') }, 'imds')).rejects.toThrow()
        })
      })

      test.runIf(options.tokens !== 'required')(
        'curl without a token gets the same role: version 1',
        async () => {
          const document = JSON.parse(await curlCredentials({ lab, world, pod: pod('reader') }, 'v1'))
          expect(await ownerOf(world, (document as { AccessKeyId: string }).AccessKeyId)).toContain(
            ':assumed-role/reader/',
          )
        },
      )

      test.runIf(options.tokens === 'required')('curl without a token gets nothing but 401', async () => {
        for (const path of ['/', ROLES, `${ROLES}reader`])
          expect(await statusOf(pod('reader'), path)).toBe('401')
      })

      test('the role of another pod is not to be had by naming it', async () => {
        const token = await curlToken(pod('writer'))
        expect(await statusOf(pod('writer'), `${ROLES}writer`, token)).toBe('200')
        expect(await statusOf(pod('writer'), `${ROLES}reader`, token)).toBe('404')
      })

      test('a token is good for the pod that asked for it only', async () => {
        const token = await curlToken(pod('reader'))
        expect(await statusOf(pod('reader'), `${ROLES}reader`, token)).toBe('200')
        expect(await statusOf(pod('writer'), `${ROLES}writer`, token)).toBe('401')
      })

      test.each(['reader', 'plain'])('no path gives pod %s a secret of the node', async (name) => {
        const urls = [ADDRESSES.metadata, `[${ADDRESSES.metadata6}]`].flatMap((host) =>
          SECRET_PATHS.map((path) => `http://${host}${path}`),
        )
        const ask = ['curl', '-sS', '--path-as-is', '--max-time', '1']
        const answers = await Promise.all(
          urls.map(async (url) => (await pod(name).run([...ask, url])).stdout),
        )
        for (const [index, text] of answers.entries()) expect(text, urls[index]).not.toContain(world.canary)
      })

      test('packets arrive with the source address of the pod, and none of them at the instance', async () => {
        const calls = (await world.stsCalls()).filter((call) => call.action === 'AssumeRole')
        const sessions = calls.map((call) => call.requestParameters['RoleSessionName'] ?? '')
        // The session is named after the pod whose address the agent saw; no client says who it is.
        expect(sessions.some((name) => name.includes('reader'))).toBe(true)
        expect(sessions.some((name) => name.includes('writer'))).toBe(true)
        expect(sessions.some((name) => name.includes('plain'))).toBe(false)
        const before = (await world.instanceRequests()).length
        await pod('reader').run(['curl', '-sS', `http://${ADDRESSES.metadata}/latest/meta-data/ami-id`])
        const fromPods = (await world.instanceRequests()).slice(before).filter(({ from }) => isPod(from))
        expect(fromPods).toEqual([])
      })

      test.runIf(options.beforeStop !== undefined)(
        'it asked the API server for no more than it may',
        async () => {
          await options.beforeStop?.()
        },
      )

      test('SIGTERM ends the agent within five seconds, and the rules stay', async () => {
        const at = performance.now()
        started.agent.kill('SIGTERM')
        expect(await started.agent.ended).toMatchObject({ code: 0 })
        expect(performance.now() - at).toBeLessThan(5_000)
        const url = `http://${ADDRESSES.metadata}/latest/meta-data/iam/security-credentials/`
        const answer = await pod('plain').run(['curl', '-sS', '--max-time', '2', url])
        expect(answer.stdout).toBe('')
        expect(answer.code).not.toBe(0)
      })

      test('uninstall gives the node back as it was', async () => {
        const result = await started.command(['uninstall'])
        expect(result, result.stderr).toMatchObject({ code: 0 })
        for (const save of ['iptables-nft-save', 'ip6tables-nft-save', 'iptables-legacy-save']) {
          expect((await lab.node.run([save])).stdout).not.toMatch(/kube2iam/i)
        }
        expect((await lab.node.run(['nft', 'list', 'ruleset'])).stdout).not.toMatch(/kube2iam/i)
      })
    })

    test('nothing of the test is left on the machine', async () => {
      await lab.close()
      const left = (await networkNamespaces()).filter((name) => name.startsWith(ownPrefix()))
      expect(left).toEqual([])
    })
  })
}

const ROLES = '/latest/meta-data/iam/security-credentials/'

/** The HTTP status that a pod gets for a path. */
async function statusOf(pod: Pod, path: string, token?: string): Promise<string> {
  const header = token === undefined ? [] : ['-H', `X-aws-ec2-metadata-token: ${token}`]
  const silent = ['curl', '-sS', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '2', ...header]
  return pod.mustRun([...silent, `http://${ADDRESSES.metadata}${path}`])
}

async function ownerOf(world: World, accessKeyId: string): Promise<string | undefined> {
  return (await world.stsCalls()).find((call) => call.issued?.accessKeyId === accessKeyId)?.issued?.arn
}

const isPod = (address: string): boolean =>
  address.startsWith('10.244.') || address.startsWith('fd00:10:244:')
