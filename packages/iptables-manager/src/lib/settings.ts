import { type Cidr, CodedError, type IpAddress, isIpv6, parseIpAddress } from '@kube2iam-ts/core'
import type { NetfilterErrorCode } from './errors.ts'
import type { InterfaceMatch } from './rule.ts'

export type BackendName = 'nft' | 'iptables-nft' | 'iptables-legacy'
export const BACKEND_NAMES: readonly BackendName[] = ['nft', 'iptables-nft', 'iptables-legacy']
export type Family = 4 | 6
export const FAMILIES: readonly Family[] = [4, 6]

/** `--host-interface`: what somebody named, or `auto`. */
export type HostInterface =
  | { readonly kind: 'auto' }
  | { readonly kind: 'named'; readonly matches: readonly InterfaceMatch[] }

/** Another link-local endpoint that hands out credentials, beside the metadata service. */
export interface ExtraEndpoint {
  readonly address: IpAddress
  /** 80 unless told. */
  readonly port?: number
  /** To the agent, or nowhere. */
  readonly action: 'redirect' | 'drop'
}

export interface CaptureSettings {
  /** Names this agent in the comment of every rule: 1–40 letters, digits, `.`, `_`, `-`. */
  readonly instance: string
  /** Where the agent listens: at most one address of each family. A family without one is dropped, not redirected. */
  readonly hostIps: readonly IpAddress[]
  readonly appPort: number
  /** `auto` unless told; from text by `parseHostInterface`. */
  readonly hostInterface?: HostInterface
  /** 169.254.169.254 and fd00:ec2::254 unless told. */
  readonly metadataAddresses?: readonly IpAddress[]
  /** Intercept 169.254.170.2, 169.254.170.23 and fd00:ec2::23 too. */
  readonly containerCredentials?: boolean
  readonly extraEndpoints?: readonly ExtraEndpoint[]
  readonly backend?: BackendName | 'auto'
  /** The node's pod address ranges, for when no interface can be told. */
  readonly podCidrs?: readonly Cidr[]
  /**
   * What is dropped when it comes past the redirect: everything that the node would forward to those addresses,
   * whatever interface it came in by (`forwarded`, the default), or only what came from where pods are (`pods`).
   * The node's own processes are never touched.
   */
  readonly guard?: 'forwarded' | 'pods'
  /**
   * Whether a guard stands in the routing policy too, which holds when netfilter as a whole is flushed; true unless
   * told. There is none with `guard: 'pods'`.
   */
  readonly guardRouting?: boolean
}

/** The metadata service of EC2: docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html */
export const METADATA_ADDRESSES: readonly IpAddress[] = [
  parseIpAddress('169.254.169.254'),
  parseIpAddress('fd00:ec2::254'),
]

/** ECS's and EKS's: docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
export const CONTAINER_CREDENTIALS_ADDRESSES: readonly IpAddress[] = [
  parseIpAddress('169.254.170.2'),
  parseIpAddress('169.254.170.23'),
  parseIpAddress('fd00:ec2::23'),
]

/** An address of which pods must not reach the real owner. */
export interface Endpoint {
  readonly address: IpAddress
  readonly family: Family
  readonly port: number
  readonly action: 'redirect' | 'drop'
}

export const familyOf = (address: IpAddress): Family => (isIpv6(address) ? 6 : 4)

/** Every address that the settings ask to intercept, each once; an earlier one wins. */
export function endpointsOf(settings: CaptureSettings): Endpoint[] {
  const redirect = (address: IpAddress): Endpoint => ({
    address,
    family: familyOf(address),
    port: 80,
    action: 'redirect',
  })
  const all = [
    ...(settings.metadataAddresses ?? METADATA_ADDRESSES).map(redirect),
    ...(settings.containerCredentials === true ? CONTAINER_CREDENTIALS_ADDRESSES.map(redirect) : []),
    ...(settings.extraEndpoints ?? []).map(({ address, port, action }) => ({
      ...redirect(address),
      port: port ?? 80,
      action,
    })),
  ]
  const seen = new Set<string>()
  return all.filter(({ address }) => !seen.has(address) && seen.add(address))
}

/**
 * Parses `--host-interface`: a name as kube2iam takes it (`docker0`, `cali+`), kiam's `!eth0`, several names joined by
 * commas, `auto` or nothing. Throws `CAPTURE_INVALID`.
 */
export function parseHostInterface(text: string): HostInterface {
  if (text === '' || text === 'auto') return { kind: 'auto' }
  const matches = text.split(',').map((part): InterfaceMatch => {
    const negated = part.startsWith('!')
    const name = (negated ? part.slice(1) : part).trim()
    // IFNAMSIZ is 16 with its final zero; iptables takes `+` at the end only.
    if (!/^[^\s/!+,:"']{0,14}[^\s/!,:"']$/.test(name)) {
      throw invalid(
        `"${part}" is not an interface: use a name of at most 15 characters such as cni0, cali+ or !eth0`,
      )
    }
    return { name, negated }
  })
  if (matches.length > 1 && matches.some(({ negated }) => negated)) {
    throw invalid(
      `"${text}" mixes ! with other names, which would match everything: name one interface after !`,
    )
  }
  return { kind: 'named', matches }
}

/** What a manager is made for, if not for the redirect. */
export type CaptureLimit = 'removal' | 'block'

/**
 * Throws `CAPTURE_INVALID` where the settings cannot be made into rules. Rules are found by their comments, and a guard
 * leads nowhere, so what `only` removes or blocks needs no address to send packets to.
 */
export function checkSettings(settings: CaptureSettings, only?: CaptureLimit): void {
  if (!/^[A-Za-z0-9._-]{1,40}$/.test(settings.instance)) {
    throw invalid(`the instance "${settings.instance}" must be 1 to 40 letters, digits, ".", "_" or "-"`)
  }
  const ports = [settings.appPort, ...(settings.extraEndpoints ?? []).map(({ port }) => port ?? 80)]
  for (const port of ports) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw invalid(`port ${port} is not between 1 and 65535`)
  }
  if (settings.hostIps.length === 0 && only === undefined)
    throw invalid('no host address: set --host-ip to the address of this node')
  for (const family of FAMILIES) {
    if (settings.hostIps.filter((ip) => familyOf(ip) === family).length > 1) {
      throw invalid(`two IPv${family} host addresses: name the one that the agent listens on`)
    }
  }
  const intercepted = new Set(endpointsOf(settings).map(({ address }) => address))
  const own = settings.hostIps.find((ip) => intercepted.has(ip))
  if (own !== undefined)
    throw invalid(`the host address ${own} is one that is to be intercepted: the agent needs another`)
}

const invalid = (message: string): CodedError<NetfilterErrorCode> =>
  new CodedError('CAPTURE_INVALID', message)
