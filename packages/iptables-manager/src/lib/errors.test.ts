import { expect, it } from 'vitest'
import { netfilterError } from './errors.ts'

// As the programs of Debian 12 and Alpine 3.20 print them.
it.each([
  [
    4,
    'Another app is currently holding the xtables lock; still 5s 0us time ahead to have a chance to grab the lock...',
    'IPTABLES_LOCKED',
    true,
  ],
  [
    4,
    'Another app is currently holding the xtables lock. Perhaps you want to use the -w option?',
    'IPTABLES_LOCKED',
    true,
  ],
  [
    4,
    'iptables v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)',
    'IPTABLES_DENIED',
    false,
  ],
  [4, "Fatal: can't open lock file /run/xtables.lock: Permission denied", 'IPTABLES_DENIED', false],
  [
    1,
    'Operation not permitted (you must be root)\nnetlink: Error: cache initialization failed: Operation not permitted',
    'IPTABLES_DENIED',
    false,
  ],
  [
    3,
    "ip6tables v1.8.9 (legacy): can't initialize ip6tables table `nat': Table does not exist (do you need to insmod?)",
    'IPTABLES_UNSUPPORTED',
    false,
  ],
  [
    2,
    "iptables v1.8.9 (legacy): Couldn't load match `comment':No such file or directory",
    'IPTABLES_UNSUPPORTED',
    false,
  ],
  [
    1,
    "iptables v1.8.9 (nf_tables): table `nat' is incompatible, use 'nft' tool.",
    'IPTABLES_UNSUPPORTED',
    false,
  ],
  [1, 'iptables-restore: line 4 failed', 'IPTABLES_FAILED', true],
] as const)('exit status %i with "%s" is %s', (exitCode, stderr, code, retryable) => {
  expect(netfilterError({ argv: ['iptables', '-w'], exitCode, stderr })).toMatchObject({ code, retryable })
})

it('says what failed, why, and what to do', () => {
  const { message, detail } = netfilterError({
    argv: ['iptables-nft', '-t', 'nat', '-S'],
    exitCode: 4,
    stderr: 'Permission denied (you must be root)\n',
  })
  expect(message).toBe(
    'iptables-nft failed: Permission denied (you must be root). Run on the host network with the capabilities NET_ADMIN and NET_RAW.',
  )
  expect(detail).toMatchObject({ argv: 'iptables-nft -t nat -S', exitCode: 4 })
})
