import { expect, it } from 'vitest'
import { createExecFileRunner } from './exec-file-runner.ts'

const node = process.execPath
const runner = createExecFileRunner()

it('gives arguments to the program as they are: there is no shell', async () => {
  const args = ['$(id)', '`id`', '; id', '"quoted"', '*']
  const { stdout } = await runner.run(node, ['-p', 'JSON.stringify(process.argv.slice(1))', '--', ...args])
  expect(JSON.parse(stdout)).toEqual(args)
})

it('resolves whatever the exit status', async () => {
  const { exitCode, stdout, stderr } = await runner.run(node, [
    '-e',
    'console.log(1); console.error(2); process.exit(3)',
  ])
  expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 3, stdout: '1\n', stderr: '2\n' })
})

it('writes the input', async () => {
  const { stdout } = await runner.run(node, ['-e', 'process.stdin.pipe(process.stdout)'], {
    input: '*nat\nCOMMIT\n',
  })
  expect(stdout).toBe('*nat\nCOMMIT\n')
})

it('survives a program that does not read its input', async () => {
  const { exitCode } = await runner.run(node, ['-e', 'process.exit(0)'], { input: 'x'.repeat(4_000_000) })
  expect(exitCode).toBe(0)
})

it('keeps the agent’s environment to itself', async () => {
  process.env['AWS_SESSION_TOKEN'] = 'a-secret'
  try {
    const { stdout } = await runner.run(node, ['-p', 'Object.keys(process.env).join()'])
    expect(stdout.trim().split(',').toSorted()).toEqual(['LC_ALL', 'PATH'])
  } finally {
    delete process.env['AWS_SESSION_TOKEN']
  }
})

it('names a program that is not installed', async () => {
  await expect(runner.run('no-such-iptables', [])).rejects.toMatchObject({ code: 'COMMAND_MISSING' })
  const lines = runner.lines('no-such-nft', ['monitor'], new AbortController().signal)
  await expect(lines[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'COMMAND_MISSING' })
})

it('names a program that may not be executed', async () => {
  await expect(runner.run('/etc/passwd', [])).rejects.toMatchObject({ code: 'COMMAND_DENIED' })
})

it('kills what does not end in time', async () => {
  const run = runner.run(node, ['-e', 'setInterval(() => {}, 1000)'], { timeoutMs: 300 })
  await expect(run).rejects.toMatchObject({ code: 'COMMAND_TIMEOUT', retryable: true })
})

it('stops at the signal', async () => {
  const stopping = new AbortController()
  const run = runner.run(node, ['-e', 'setInterval(() => {}, 1000)'], { signal: stopping.signal })
  stopping.abort()
  await expect(run).rejects.toMatchObject({ code: 'ABORTED' })
})

it('yields lines as they are printed, and ends the program with the signal', async () => {
  const stopping = new AbortController()
  const seen: string[] = []
  const script = 'let n = 0; setInterval(() => console.log(`${process.pid} ${n++}`), 5)'
  const follow = async (): Promise<void> => {
    for await (const line of runner.lines(node, ['-e', script], stopping.signal)) {
      seen.push(line)
      if (seen.length === 3) stopping.abort()
    }
  }
  await expect(follow()).rejects.toMatchObject({ code: 'ABORTED' })
  expect(seen.length).toBeGreaterThanOrEqual(3)
  const pid = Number(seen[0]?.split(' ')[0])
  expect(() => process.kill(pid, 0)).toThrow('ESRCH')
})

it('says that a program runs, and never that one does which cannot be started', async () => {
  const running: string[] = []
  const follow = async (program: string, ...args: string[]): Promise<void> => {
    const { signal } = new AbortController()
    for await (const line of runner.lines(program, args, signal, () => running.push(program)))
      expect(line).toBe('a')
  }
  await follow(node, '-e', 'console.log("a")')
  await expect(follow('no-such-nft', 'monitor')).rejects.toMatchObject({ code: 'COMMAND_MISSING' })
  expect(running).toEqual([node])
})

it('ends when the program ends', async () => {
  const seen: string[] = []
  for await (const line of runner.lines(node, ['-e', 'console.log("a\\nb")'], new AbortController().signal))
    seen.push(line)
  expect(seen).toEqual(['a', 'b'])
})
