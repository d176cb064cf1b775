import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mustRun, run } from '../src/lab/command.ts'
import { createLab, type Lab, type Pod } from '../src/lab/lab.ts'
import { networkNamespaces, ownPrefix, sweepDead } from '../src/lab/owner.ts'
import { mustSkip } from '../src/lab/requirements.ts'

// The lab itself, without any of our programs: if this fails, no other result in this folder means anything.
const ECHO = `
  const http = require('node:http')
  const [, name, host, port] = process.argv
  http.createServer((req, res) => res.end(name + ' ' + req.socket.remoteAddress)).listen(Number(port), host, () => console.log('up'))
`

describe.skipIf(mustSkip('plumbing'))('the lab', () => {
  let lab: Lab
  let pod: Pod

  beforeAll(async () => {
    lab = await createLab()
    pod = await lab.addPod('a', { address: '10.244.0.11', address6: 'fd00:10:244::11' })
    for (const [name, host, port] of [
      ['instance', '169.254.169.254', '80'],
      ['agent', '192.168.77.10', '8181'],
    ]) {
      const server = lab.node.start([process.execPath, '-e', ECHO, name!, host!, port!])
      await server.waitForOutput(/up/)
    }
  })
  afterAll(() => lab?.close())

  const ask = (from: Pod, url = 'http://169.254.169.254/') =>
    from.mustRun(['curl', '-sS', '--max-time', '2', url])

  test('a pod reaches the metadata address while nothing intercepts it', async () => {
    expect(await ask(pod)).toBe('instance 10.244.0.11')
  })

  test('a DNAT rule sends the pod to the agent and keeps its source address', async () => {
    const rule = '-p tcp -d 169.254.169.254 --dport 80 -i cni0 -j DNAT --to-destination 192.168.77.10:8181'
    await lab.node.mustRun(['iptables', '-w', '-t', 'nat', '-A', 'PREROUTING', ...rule.split(' ')])
    expect(await ask(pod)).toBe('agent 10.244.0.11')
    await lab.node.mustRun(['iptables', '-w', '-t', 'nat', '-F', 'PREROUTING'])
  })

  test('a routed pod reaches the node without a bridge', async () => {
    const routed = await lab.addPod('r', { address: '10.244.0.60', attach: { routed: 'cali0123456789a' } })
    expect(await ask(routed)).toBe('instance 10.244.0.60')
  })

  test('nothing in the lab reaches the world outside', async () => {
    const probe = await pod.run(['curl', '-sS', '--max-time', '1', 'http://192.0.2.1/'])
    expect(probe.code).not.toBe(0)
    expect(await lab.vpc.mustRun(['ip', 'route', 'show', 'default'])).toContain('unreachable')
  })

  test('afterwards nothing is left', async () => {
    await lab.close()
    const ours = (await networkNamespaces()).filter((name) => name.startsWith(ownPrefix()))
    expect(ours).toEqual([])
  })

  test('what a killed run left behind is removed by the next one', async () => {
    const script = `
      import { createLab } from ${JSON.stringify(new URL('../src/lab/lab.ts', import.meta.url).href)}
      const lab = await createLab()
      lab.node.start(['sleep', '600'])
      process.stdout.write(lab.node.name)
      process.kill(process.pid, 'SIGKILL')
    `
    const killed = await run([process.execPath, '--input-type=module-typescript', '-e', script])
    expect(killed).toMatchObject({ signal: 'SIGKILL', stdout: expect.stringContaining('k2i-e2e-') })
    const pids = await mustRun(['ip', 'netns', 'pids', killed.stdout])
    expect(pids).not.toBe('')

    expect(await sweepDead()).toContain(killed.stdout)
    expect(await networkNamespaces()).not.toContain(killed.stdout)
    // A zombie has ended too; when its new parent reaps it is not ours to say.
    const state = await run(['ps', '-o', 'stat=', '-p', pids.trim()])
    expect(state.stdout.trim()).toMatch(/^(Z.*)?$/)
  })
})
