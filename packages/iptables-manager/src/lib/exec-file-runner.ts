import { execFile, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { aborted, CodedError } from '@kube2iam-ts/core'
import type { CommandOptions, CommandResult, CommandRunner } from './command-runner.ts'
import type { NetfilterErrorCode } from './errors.ts'

export interface ExecFileRunnerOptions {
  /** Where programs are looked for. Fixed, so that nobody's PATH decides which iptables runs as root. */
  readonly searchPath?: string
  /** Put before every command, such as `['ip', 'netns', 'exec', 'node-1']` in tests. */
  readonly prefix?: readonly string[]
}

const SEARCH_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const DEFAULT_TIMEOUT_MS = 10_000
/** `iptables-save` of a node with tens of thousands of services stays below this. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024

/** The real runner. Programs get an environment of two variables, so that no credential of the agent leaks to them. */
export function createExecFileRunner(options: ExecFileRunnerOptions = {}): CommandRunner {
  const env = { PATH: options.searchPath ?? SEARCH_PATH, LC_ALL: 'C' }
  const prefix = options.prefix ?? []
  const argv = (file: string, args: readonly string[]): [string, string[]] => {
    const [first = file, ...rest] = [...prefix, file, ...args]
    return [first, rest]
  }

  return {
    run(file, args, { input, signal, timeoutMs = DEFAULT_TIMEOUT_MS }: CommandOptions = {}) {
      return new Promise<CommandResult>((resolve, reject) => {
        const [program, rest] = argv(file, args)
        const child = execFile(
          program,
          rest,
          {
            env,
            timeout: timeoutMs,
            maxBuffer: MAX_OUTPUT_BYTES,
            killSignal: 'SIGKILL',
            ...(signal && { signal }),
          },
          (error, stdout, stderr) => {
            if (error === null) resolve({ exitCode: 0, stdout, stderr })
            else if (signal?.aborted === true) reject(aborted(signal))
            else if (typeof error.code === 'number') resolve({ exitCode: error.code, stdout, stderr })
            else reject(startError(file, error, timeoutMs))
          },
        )
        // A program that refuses early closes its input before all of it is written; its exit status says why.
        child.stdin?.on('error', () => {})
        child.stdin?.end(input ?? '')
      })
    },

    async *lines(file, args, signal, onRunning) {
      if (signal.aborted) throw aborted(signal)
      const [program, rest] = argv(file, args)
      const child = spawn(program, rest, {
        env,
        stdio: ['ignore', 'pipe', 'ignore'],
        signal,
        killSignal: 'SIGKILL',
      })
      if (onRunning !== undefined) child.once('spawn', onRunning)
      let failure: Error | undefined
      const ended = new Promise<void>((resolve) => {
        child.once('error', (error) => {
          failure = error
          // One that never started does not close; one that was aborted does, when it is gone.
          if (child.pid === undefined) resolve()
        })
        child.once('close', () => resolve())
      })
      try {
        yield* createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY })
        await ended
        if (signal.aborted) throw aborted(signal)
        if (failure !== undefined) throw startError(file, failure, 0)
      } finally {
        if (child.exitCode === null) child.kill('SIGKILL')
        await ended
      }
    },
  }
}

function startError(
  file: string,
  error: Error & { code?: unknown },
  timeoutMs: number,
): CodedError<NetfilterErrorCode> {
  const options = { cause: error, detail: { program: file } }
  switch (error.code) {
    case 'ENOENT':
      return new CodedError(
        'COMMAND_MISSING',
        `${file} is not installed: add its package to the image`,
        options,
      )
    case 'EACCES':
    case 'EPERM':
      return new CodedError(
        'COMMAND_DENIED',
        `${file} may not be executed: check its mode and the seccomp profile`,
        options,
      )
    default:
      return new CodedError('COMMAND_TIMEOUT', `${file} did not end within ${timeoutMs} ms and was killed`, {
        ...options,
        retryable: true,
      })
  }
}
