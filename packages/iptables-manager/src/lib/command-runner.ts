/** How a program ended. A status other than 0 is a value: only the caller knows what it means. */
export interface CommandResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  /** Written to the program's standard input. */
  readonly input?: string
  readonly signal?: AbortSignal
  /** Killed after this long; 10 s unless told. */
  readonly timeoutMs?: number
}

/**
 * Runs programs by argument vector, never through a shell. The only way by which this package touches the machine,
 * hence also the seam where the fake netfilter (`/testing`) goes.
 */
export interface CommandRunner {
  /**
   * Rejects with `COMMAND_MISSING`, `COMMAND_DENIED`, `COMMAND_TIMEOUT` or `ABORTED`; resolves whatever the exit
   * status.
   */
  run(file: string, args: readonly string[], options?: CommandOptions): Promise<CommandResult>
  /**
   * Starts a program that goes on talking (`nft monitor`) and yields the lines that it prints. Ends when the program
   * ends or the signal is aborted, after which the program is gone. Rejects as `run` does. `onRunning` is called once
   * the program runs, and never for one that cannot be started.
   */
  lines(
    file: string,
    args: readonly string[],
    signal: AbortSignal,
    onRunning?: () => void,
  ): AsyncIterable<string>
}
