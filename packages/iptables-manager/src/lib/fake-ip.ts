import type { CommandResult } from './command-runner.ts'

/** The interfaces and routes that `ip` tells of. */
export interface FakeNetwork {
  /** Names of interfaces, beside `lo`. */
  readonly links: readonly string[]
  readonly defaultDevice: string
  /** Device towards an address. */
  readonly routes: ReadonlyMap<string, string>
}

/** `ip -json -batch -` with `link show`, `route show default` and `route get`, and a refusal to make namespaces. */
export function runIp(network: FakeNetwork, args: readonly string[], input: string): CommandResult {
  if (args.includes('netns')) {
    return {
      exitCode: 1,
      stdout: '',
      stderr: 'mount --make-shared /run/netns failed: Operation not permitted\n',
    }
  }
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

function answer(
  { links, defaultDevice, routes }: FakeNetwork,
  question: string,
): readonly object[] | undefined {
  if (question === 'link show') return ['lo', defaultDevice, ...links].map((ifname) => ({ ifname }))
  if (question === 'route show default') return [{ dst: 'default', dev: defaultDevice }]
  const address = /^route get (\S+)$/.exec(question)?.[1]
  return address === undefined ? undefined : [{ dst: address, dev: routes.get(address) ?? defaultDevice }]
}
