import { CodedError } from '@kube2iam-ts/core'

/**
 * - `CAPTURE_INVALID`: the settings contradict themselves or name something that cannot exist.
 * - `COMMAND_MISSING`: the program is not installed in this image.
 * - `COMMAND_DENIED`: the program may not be executed.
 * - `COMMAND_TIMEOUT` (retryable): the program did not end in time and was killed.
 * - `IPTABLES_MISSING`: neither iptables nor nft, of the wanted kind, is installed.
 * - `IPTABLES_DENIED`: the kernel refuses; the process lacks CAP_NET_ADMIN (or CAP_NET_RAW).
 * - `IPTABLES_LOCKED` (retryable): another program held the xtables lock for longer than we wait.
 * - `IPTABLES_UNSUPPORTED`: the kernel or the program lacks a table, match or target that the rules need.
 * - `IPTABLES_FAILED` (retryable): anything else; `detail` has argv, exitCode and stderr.
 */
export type NetfilterErrorCode =
  | 'CAPTURE_INVALID'
  | 'COMMAND_MISSING'
  | 'COMMAND_DENIED'
  | 'COMMAND_TIMEOUT'
  | 'IPTABLES_MISSING'
  | 'IPTABLES_DENIED'
  | 'IPTABLES_LOCKED'
  | 'IPTABLES_UNSUPPORTED'
  | 'IPTABLES_FAILED'

export type NetfilterError = CodedError<NetfilterErrorCode>

/** What ran and how it ended: the evidence that every error of this package carries in `detail`. */
export interface CommandFailure {
  readonly argv: readonly string[]
  readonly exitCode: number
  readonly stderr: string
}

/** Names the reason why iptables, nft or a sibling of theirs failed, with the remedy in the message. */
export function netfilterError(failure: CommandFailure): NetfilterError {
  const { code, retryable, remedy } = classify(failure)
  const program = failure.argv[0] ?? 'iptables'
  const said = firstLine(failure.stderr)
  return new CodedError(
    code,
    `${program} failed: ${said === '' ? `exit status ${failure.exitCode}` : said}. ${remedy}`,
    {
      retryable,
      detail: {
        argv: failure.argv.join(' '),
        exitCode: failure.exitCode,
        stderr: failure.stderr.slice(0, 2_000),
      },
    },
  )
}

interface Reason {
  readonly code: NetfilterErrorCode
  readonly retryable: boolean
  readonly remedy: string
}

// Texts of iptables 1.8 and nft 1.0/1.1. The exit status alone cannot tell: 4 is a lock, a permission or a lost race.
function classify({ stderr }: CommandFailure): Reason {
  if (/xtables lock|Resource temporarily unavailable/i.test(stderr)) {
    return {
      code: 'IPTABLES_LOCKED',
      retryable: true,
      remedy:
        'Another program holds the xtables lock; it is tried again. Mount /run/xtables.lock from the host.',
    }
  }
  if (/permission denied|operation not permitted|you must be root/i.test(stderr)) {
    return {
      code: 'IPTABLES_DENIED',
      retryable: false,
      remedy: 'Run on the host network with the capabilities NET_ADMIN and NET_RAW.',
    }
  }
  if (
    /can't initialize|do you need to insmod|Table does not exist|extension .* revision|Couldn't load|is incompatible|not supported|unknown option|missing kernel module/i.test(
      stderr,
    )
  ) {
    return {
      code: 'IPTABLES_UNSUPPORTED',
      retryable: false,
      remedy:
        'This kernel lacks a netfilter table or extension: choose another --iptables-backend or load its module.',
    }
  }
  return {
    code: 'IPTABLES_FAILED',
    retryable: true,
    remedy: 'The rule set may have changed meanwhile; it is looked at again.',
  }
}

const firstLine = (text: string): string => text.trim().split('\n')[0]?.trim() ?? ''
