import { flagRows } from '@kube2iam-ts/agent-runtime'

/** Runs a command. Resolves with the exit status. */
export async function runCommand(args: readonly string[], _environment: NodeJS.ProcessEnv): Promise<number> {
  process.stderr.write(`kube2iam: "${args[0] ?? ''}" is no command: kube2iam --help lists them\n`)
  return 2
}

export async function helpText(): Promise<string> {
  return flagRows.map(([, flag]) => `  --${flag.name}  ${flag.doc}`).join('\n')
}
