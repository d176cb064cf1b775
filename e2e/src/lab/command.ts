import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'

/** What a finished command left behind. */
export interface CommandResult {
  /** Exit status; 128 + signal number is not used: a killed command has `code` undefined and `signal` set. */
  readonly code: number | undefined
  readonly signal: NodeJS.Signals | undefined
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  /** The whole environment of the command; nothing is inherited. */
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** After this long the command is killed and the call rejects. 30 s by default. */
  readonly timeoutMs?: number
  readonly cwd?: string
}

/** Where tools live; a test's own PATH (version managers, workspace bins) must not choose another `aws` or `node`. */
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

const BASE_ENV = { PATH: SYSTEM_PATH, LANG: 'C.UTF-8' }

/** Runs argv to its end, whatever its exit status; rejects only when it cannot start or does not end in time. */
export async function run(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const child = launch(argv, options, ['pipe', 'pipe', 'pipe'])
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(options.input ?? '')
  const timeoutMs = options.timeoutMs ?? 30_000
  const timer = new AbortController()
  const timedOut = delay(timeoutMs, 'timeout' as const, { signal: timer.signal }).catch(
    () => 'ended' as const,
  )
  const ended = new Promise<CommandResult>((resolve, reject) => {
    child.once('error', (cause) => reject(new Error(`cannot start ${argv.join(' ')}: ${cause.message}`)))
    child.once('close', (code, signal) =>
      resolve({ code: code ?? undefined, signal: signal ?? undefined, stdout, stderr }),
    )
  })
  try {
    const first = await Promise.race([ended, timedOut])
    if (typeof first === 'object') return first
    child.kill('SIGKILL')
    await ended
    throw new Error(`no end after ${timeoutMs} ms: ${argv.join(' ')}\n${stdout}${stderr}`)
  } finally {
    timer.abort()
  }
}

/** Runs argv and returns its standard output; an exit status other than 0 rejects with everything it said. */
export async function mustRun(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await run(argv, options)
  if (result.code === 0) return result.stdout
  const how = result.signal ?? `exit status ${result.code}`
  throw new Error(`${argv.join(' ')}: ${how}\n${result.stderr}${result.stdout}`)
}

/** Starts argv with a clean environment. */
export function launch(
  argv: readonly string[],
  options: Pick<CommandOptions, 'env' | 'cwd'>,
  stdio: StdioOptions,
): ChildProcess {
  const [file, ...args] = argv
  if (file === undefined) throw new Error('an empty command line')
  return spawn(file, args, {
    env: { ...BASE_ENV, ...options.env },
    stdio,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
}
