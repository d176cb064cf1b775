import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Agent, agentEnv, METRICS_PORT, runAgentCommand, startAgent } from '../src/agent.ts'
import { CLIENTS } from '../src/clients/clients.ts'
import { type ClusterPod, furnish, projectToken, runPod } from '../src/cluster.ts'
import { ADDRESSES, createLab, type Lab } from '../src/lab/lab.ts'
import { mustSkip } from '../src/lab/requirements.ts'
import { NODE_ROLE, startWorld, type World } from '../src/world/world.ts'

const HOST_IPS = `${ADDRESSES.node},${ADDRESSES.node6}`
const HOST = `http://[${ADDRESSES.metadata6}]`
const ROLES = '/latest/meta-data/iam/security-credentials/'
const CURL = ['curl', '-sS', '--max-time', '2']

// Pods with an address of each family on a node with an address of each: what holds at 169.254.169.254 holds at
// fd00:ec2::254 too.
describe.skipIf(mustSkip('both families'))('a dual-stack node', () => {
  let lab: Lab
  let world: World
  let agent: Agent
  const pods: Record<string, ClusterPod> = {}
  const tokens: Record<string, string> = {}
  const pod = (name: string): ClusterPod => pods[name]!

  beforeAll(async () => {
    lab = await createLab()
    world = await startWorld(lab)
    await furnish(world, ['reader', 'writer'])
    for (const name of ['reader', 'writer']) {
      pods[name] = await runPod(lab, world, name, { role: name })
      tokens[name] = await projectToken(world, pod(name))
    }
    pods['sdk'] = await runPod(lab, world, 'sdk', { role: 'reader' })
    pods['plain'] = await runPod(lab, world, 'plain')
  })
  afterAll(() => lab?.close())

  const ask = async (name: string, path: string, ...args: string[]) =>
    (await pod(name).run([...CURL, ...args, HOST + path])).stdout
  const ownerOf = async (document: string) => {
    const { AccessKeyId } = JSON.parse(document) as { AccessKeyId: string }
    return (await world.stsCalls()).find(({ issued }) => issued?.accessKeyId === AccessKeyId)?.issued?.arn
  }
  const assumed = (role: string) => expect.stringContaining(`:assumed-role/${role}/`) as string

  test('before the agent is there, IPv6 leads pods to the role of the node as IPv4 does', async () => {
    expect(await ask('plain', ROLES)).toBe(NODE_ROLE)
  })

  describe.each(['auto', 'nft', 'iptables-legacy'])('with --iptables-backend=%s', (backend) => {
    beforeAll(async () => {
      agent = await startAgent(lab, world, {
        args: [
          `--host-ip=${HOST_IPS}`,
          `--iptables-backend=${backend}`,
          '--container-credentials',
          '--log-format=json',
        ],
      })
    })

    test.each(['reader', 'writer'])('%s gets its own role by IPv6, in version 1 and 2', async (name) => {
      expect(await ask(name, ROLES)).toBe(name)
      expect(await ownerOf(await ask(name, ROLES + name))).toEqual(assumed(name))
      const ttl = ['-X', 'PUT', '-H', 'X-aws-ec2-metadata-token-ttl-seconds: 60']
      const token = ['-H', `X-aws-ec2-metadata-token: ${await ask(name, '/latest/api/token', ...ttl)}`]
      expect(await ask(name, ROLES, ...token)).toBe(name)
      expect(await ownerOf(await ask(name, ROLES + name, ...token))).toEqual(assumed(name))
    })

    test('the SDK does, told to use IPv6', async () => {
      const sdk = CLIENTS.find(({ name }) => name === 'AWS SDK for JavaScript v3')!
      const own = pod('sdk')
      const overIpv6 = {
        ...own,
        mustRun: ((argv, options) => {
          const env = { ...options?.env, AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE: 'IPv6' }
          return own.mustRun(argv, { ...options, env })
        }) satisfies ClusterPod['mustRun'],
      }
      const arn = await sdk.callerArn({ lab, world, pod: overIpv6 }, 'imds')
      expect(arn).toMatch(new RegExp(`^arn:aws:sts::${world.account}:assumed-role/reader/`))
      await expect.poll(() => peers().includes(own.address6 ?? '')).toBe(true)
      expect(peers()).not.toContain(own.address)
    })

    test('it says where it listens, and to who asks by IPv6 too, as the kubelet of an IPv6 node does', async () => {
      for (const host of [ADDRESSES.node, `[${ADDRESSES.node6}]`]) {
        const { status, body } = await world.get(`http://${host}:${METRICS_PORT}/readyz`)
        expect(status).toBe(200)
        expect(body).toContain(`listening on ${ADDRESSES.node}:8181 and [${ADDRESSES.node6}]:8181`)
      }
    })

    test('what the agent sees is the IPv6 address of the pod itself', async () => {
      const { address6 } = pod('writer')
      const before = peers().filter((peer) => peer === address6).length
      expect(await ask('writer', ROLES)).toBe('writer')
      await expect.poll(() => peers().filter((peer) => peer === address6).length).toBe(before + 1)
    })

    test.each(['reader', 'writer'])('%s gets the same by the container protocol', async (name) => {
      const url = 'http://[fd00:ec2::23]/v1/credentials'
      const own = await pod(name).run([...CURL, '-H', `Authorization: ${tokens[name]}`, url])
      expect(await ownerOf(own.stdout)).toEqual(assumed(name))
      const other = name === 'reader' ? 'writer' : 'reader'
      const status = ['-o', '/dev/null', '-w', '%{http_code}']
      const foreign = await pod(name).run([...CURL, ...status, '-H', `Authorization: ${tokens[other]}`, url])
      expect(foreign.stdout).toMatch(/^40[13]$/)
    })

    test('the role of another and of the node are not to be had, and IPv4 is served as ever', async () => {
      const status = ['-o', '/dev/null', '-w', '%{http_code}']
      expect(await ask('plain', ROLES, ...status)).toBe('404')
      for (const role of ['writer', NODE_ROLE])
        expect(await ask('reader', ROLES + role, ...status)).toBe('404')
      const seen = (await world.instanceRequests()).length
      for (const path of [ROLES + NODE_ROLE, '/latest/user-data', `//${ROLES}${NODE_ROLE}`])
        expect(await ask('plain', path, '--path-as-is')).not.toContain(world.canary)
      const fromPods = (await world.instanceRequests())
        .slice(seen)
        .filter(({ from }) => from.includes('10:244'))
      expect(fromPods).toEqual([])
      expect((await pod('reader').run([...CURL, `http://${ADDRESSES.metadata}${ROLES}`])).stdout).toBe(
        'reader',
      )
    })

    test('without the agent, IPv6 is closed too, until uninstall gives it back without a trace', async () => {
      await agent.stop()
      expect(await ask('plain', ROLES)).toBe('')
      const removed = await runAgentCommand(lab, ['uninstall'], agentEnv(world))
      expect(removed, removed.stderr).toMatchObject({ code: 0 })
      expect(await ask('plain', ROLES)).toBe(NODE_ROLE)
      for (const list of [
        ['iptables-nft-save'],
        ['ip6tables-nft-save'],
        ['iptables-legacy-save'],
        ['ip6tables-legacy-save'],
        ['nft', 'list', 'ruleset'],
      ]) {
        expect((await lab.node.run(list)).stdout).not.toMatch(/kube2iam/i)
      }
    })

    /** The addresses from which the agent was asked, as its log has them. */
    const peers = (): string[] =>
      agent
        .output()
        .split('\n')
        .filter((line) => line.includes('"msg":"request"'))
        .map((line) => (JSON.parse(line) as { peer: string }).peer)
  })
})
