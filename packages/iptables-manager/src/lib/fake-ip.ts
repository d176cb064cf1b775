import type { CommandResult } from './command-runner.ts'
import { type FakeRoutingPolicy, runIpRule } from './fake-ip-rules.ts'
import type { Family } from './settings.ts'

/** The interfaces and routes that `ip` tells of. */
export interface FakeNetwork {
  /** Names of interfaces, beside `lo`. */
  readonly links: readonly string[]
  readonly defaultDevice: string
  /** Device towards an address. */
  readonly routes: ReadonlyMap<string, string>
  /** Absent where the kernel was built without policy routing. */
  readonly policy?: FakeRoutingPolicy
  /** Called with what `ip monitor rule` prints. */
  readonly changed: (lines: readonly string[]) => void
}

/** `ip`, one by one or by `-batch -`, with `link show`, `route show default`, `route get` and `rule`, and a refusal to make namespaces. */
export function runIp(network: FakeNetwork, args: readonly string[], input: string): CommandResult {
  if (args.includes('netns')) {
    return {
      exitCode: 1,
      stdout: '',
      stderr: 'mount --make-shared /run/netns failed: Operation not permitted\n',
    }
  }
  const commands = args.includes('-batch') ? input.split('\n') : [args.join(' ')]
  const asked = commands
    .map((line) => line.split(' ').filter((word) => word !== '' && !/^-(json|batch|6)?$/.test(word)))
    .filter(([word]) => word === 'rule')
  if (asked.length > 0) return runRules(network, args.includes('-6') ? 6 : 4, asked)
  const questions = args.includes('-batch')
    ? input.split('\n').filter((line) => line !== '')
    : [args.filter((word) => !word.startsWith('-')).join(' ')]
  const answers = questions.map((question) => answer(network, question))
  return {
    exitCode: answers.includes(undefined) ? 1 : 0,
    stdout: answers.flatMap((found) => (found === undefined ? [] : [`${JSON.stringify(found)}\n`])).join(''),
    stderr: answers.includes(undefined) ? 'RTNETLINK answers: Network is unreachable\n' : '',
  }
}

/** All of them until one is refused. */
function runRules(
  { policy, changed }: FakeNetwork,
  family: Family,
  commands: readonly (readonly string[])[],
): CommandResult {
  let stdout = ''
  for (const words of commands) {
    if (policy === undefined)
      return { exitCode: 2, stdout, stderr: 'RTNETLINK answers: Operation not supported\nDump terminated\n' }
    const result = runIpRule(policy, family, words, changed)
    stdout += result.stdout
    if (result.exitCode !== 0) return { ...result, stdout }
  }
  return { exitCode: 0, stdout, stderr: '' }
}

function answer(
  { links, defaultDevice, routes }: FakeNetwork,
  question: string,
): readonly object[] | undefined {
  if (question === 'link show') return ['lo', defaultDevice, ...links].map((ifname) => ({ ifname }))
  if (question === 'route show default') return [{ dst: 'default', dev: defaultDevice }]
  const address = /^route get (\S+)$/.exec(question)?.[1]
  return address === undefined ? undefined : [{ dst: address, dev: routes.get(address) ?? defaultDevice }]
}
