import { formatDuration, parseDuration } from '../scenario/shape.ts'

/** Who shares a session on a node; the agent's `--session-scope`. */
export type Scope = 'pod' | 'service-account' | 'namespace' | 'role'

/**
 * `ahead`: this agent, which fetches a session when its pod appears and renews it before half its life is over.
 * `on-demand`: as kube2iam does it, when a pod asks and what is cached has lived half of its life.
 */
export type RefreshPolicy = 'ahead' | 'on-demand'

/** How the fleet's agents are replaced by a new version. */
export type RollOut = 'none' | 'rolling' | 'all-at-once'

/** What a fleet is and how its agents are set. Durations are milliseconds. */
export interface FleetOptions {
  readonly nodes: number
  readonly podsPerNode: number
  readonly hours: number
  readonly seed: number
  /** The share of pods that is replaced within an hour. */
  readonly churnPerHour: number
  /** Distinct roles, service accounts and namespaces that pods are spread over. */
  readonly roles: number
  readonly serviceAccounts: number
  readonly namespaces: number
  readonly sessionScope: Scope
  readonly sessionDurationMs: number
  readonly refresh: RefreshPolicy
  /** How often the SDK of a pod asks; matters with `on-demand` only. */
  readonly askEveryMs: number
  /** AssumeRole calls per second that STS lets through for one account in one region, and at once after a rest. */
  readonly quota: number
  readonly quotaBurst: number
  /** Over how many accounts and regions the nodes are spread: each pair has a quota of its own. */
  readonly accounts: number
  readonly regions: number
  readonly stsLatencyMs: number
  /** The agents' own budget of calls. */
  readonly nodeRate: number
  readonly nodeBurst: number
  /** The agents start one after the other over this long. */
  readonly startOverMs: number
  readonly rollOut: RollOut
  readonly rollOutAtMs: number
  /** With `rolling`: the share of nodes that is replaced at once, and how long each takes. */
  readonly rollOutShare: number
  readonly rollOutNodeMs: number
  readonly zones: number
  /** From when and for how long one zone is lost, its pods starting again on the other zones' nodes; 0: never. */
  readonly zoneOutageAtMs: number
  readonly zoneOutageForMs: number
  /** From when and for how long STS answers nothing; 0: never. */
  readonly stsOutageAtMs: number
  readonly stsOutageForMs: number
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE

export const DEFAULT_FLEET: FleetOptions = {
  nodes: 100,
  podsPerNode: 30,
  hours: 24,
  seed: 1,
  churnPerHour: 0.05,
  roles: 50,
  serviceAccounts: 100,
  namespaces: 40,
  sessionScope: 'pod',
  sessionDurationMs: HOUR,
  refresh: 'ahead',
  askEveryMs: 30 * MINUTE,
  quota: 600,
  quotaBurst: 600,
  accounts: 1,
  regions: 1,
  stsLatencyMs: 60,
  nodeRate: 10,
  nodeBurst: 20,
  startOverMs: 10 * MINUTE,
  rollOut: 'none',
  rollOutAtMs: 2 * HOUR,
  rollOutShare: 0.1,
  rollOutNodeMs: 20_000,
  zones: 3,
  zoneOutageAtMs: 0,
  zoneOutageForMs: HOUR,
  stsOutageAtMs: 0,
  stsOutageForMs: 30 * MINUTE,
}

type Reader = (text: string) => unknown

const wholeFrom =
  (min: number, max: number): Reader =>
  (text) => {
    const value = Number(text)
    return /^\d+$/.test(text) && value >= min && value <= max ? value : undefined
  }
const real =
  (min: number, max: number): Reader =>
  (text) => {
    const value = Number(text)
    return text.trim() !== '' && value >= min && value <= max ? value : undefined
  }
const time: Reader = (text) => (/^0s?$/.test(text) ? 0 : parseDuration(text))
const word =
  (...words: readonly string[]): Reader =>
  (text) =>
    words.includes(text) ? text : undefined

interface Flag {
  readonly option: keyof FleetOptions
  readonly read: Reader
  readonly right: string
  readonly doc: string
}

/** Every option by its flag: command line, `--vary` and reports. */
export const FLEET_FLAGS: Readonly<Record<string, Flag>> = {
  nodes: {
    option: 'nodes',
    read: wholeFrom(1, 50_000),
    right: 'a whole number from 1 to 50000',
    doc: 'Nodes',
  },
  pods: {
    option: 'podsPerNode',
    read: wholeFrom(1, 1000),
    right: 'a whole number from 1 to 1000',
    doc: 'Pods per node',
  },
  hours: {
    option: 'hours',
    read: real(0.01, 24 * 31),
    right: 'a number of hours up to 744',
    doc: 'Simulated hours',
  },
  seed: {
    option: 'seed',
    read: wholeFrom(0, 4_294_967_295),
    right: 'a whole number',
    doc: 'Seed of all jitter',
  },
  churn: {
    option: 'churnPerHour',
    read: real(0, 60),
    right: 'a number from 0 to 60',
    doc: 'Share of pods replaced per hour',
  },
  roles: {
    option: 'roles',
    read: wholeFrom(1, 10_000),
    right: 'a whole number from 1 to 10000',
    doc: 'Distinct roles',
  },
  'service-accounts': {
    option: 'serviceAccounts',
    read: wholeFrom(1, 10_000),
    right: 'a whole number from 1 to 10000',
    doc: 'Distinct service accounts',
  },
  namespaces: {
    option: 'namespaces',
    read: wholeFrom(1, 10_000),
    right: 'a whole number from 1 to 10000',
    doc: 'Distinct namespaces',
  },
  'session-scope': {
    option: 'sessionScope',
    read: word('pod', 'service-account', 'namespace', 'role'),
    right: 'pod, service-account, namespace or role',
    doc: 'Who shares a session on a node',
  },
  'session-duration': {
    option: 'sessionDurationMs',
    read: time,
    right: 'a duration such as 1h',
    doc: 'Life of a session',
  },
  refresh: {
    option: 'refresh',
    read: word('ahead', 'on-demand'),
    right: 'ahead or on-demand',
    doc: 'ahead: this agent; on-demand: as kube2iam',
  },
  'ask-every': {
    option: 'askEveryMs',
    read: time,
    right: 'a duration such as 30m',
    doc: 'How often a pod’s SDK asks (on-demand)',
  },
  quota: {
    option: 'quota',
    read: real(0.1, 1_000_000),
    right: 'calls per second',
    doc: 'AssumeRole calls per second per account and region',
  },
  'quota-burst': {
    option: 'quotaBurst',
    read: real(1, 1_000_000),
    right: 'a number of calls',
    doc: 'Calls let through at once after a rest',
  },
  accounts: {
    option: 'accounts',
    read: wholeFrom(1, 1000),
    right: 'a whole number from 1 to 1000',
    doc: 'Accounts that the nodes are spread over',
  },
  regions: {
    option: 'regions',
    read: wholeFrom(1, 50),
    right: 'a whole number from 1 to 50',
    doc: 'Regions that the nodes are spread over',
  },
  'sts-latency': {
    option: 'stsLatencyMs',
    read: time,
    right: 'a duration such as 60ms',
    doc: 'How long a call takes',
  },
  'node-rate': {
    option: 'nodeRate',
    read: real(0.2, 10_000),
    right: 'calls per second',
    doc: 'The agent’s own budget of calls per second',
  },
  'node-burst': {
    option: 'nodeBurst',
    read: real(1, 10_000),
    right: 'a number of calls',
    doc: 'The agent’s burst',
  },
  'start-over': {
    option: 'startOverMs',
    read: time,
    right: 'a duration such as 10m',
    doc: 'Agents start one after the other over this long',
  },
  'roll-out': {
    option: 'rollOut',
    read: word('none', 'rolling', 'all-at-once'),
    right: 'none, rolling or all-at-once',
    doc: 'How a new version is rolled out',
  },
  'roll-out-at': { option: 'rollOutAtMs', read: time, right: 'a duration such as 2h', doc: 'When it begins' },
  'roll-out-share': {
    option: 'rollOutShare',
    read: real(0.0001, 1),
    right: 'a share from 0.0001 to 1',
    doc: 'Share of nodes at once (maxUnavailable)',
  },
  'roll-out-node': {
    option: 'rollOutNodeMs',
    read: time,
    right: 'a duration such as 20s',
    doc: 'How long one node takes',
  },
  zones: {
    option: 'zones',
    read: wholeFrom(1, 20),
    right: 'a whole number from 1 to 20',
    doc: 'Availability zones',
  },
  'zone-outage-at': {
    option: 'zoneOutageAtMs',
    read: time,
    right: 'a duration such as 6h',
    doc: 'When one zone is lost; 0: never',
  },
  'zone-outage-for': {
    option: 'zoneOutageForMs',
    read: time,
    right: 'a duration such as 1h',
    doc: 'For how long',
  },
  'sts-outage-at': {
    option: 'stsOutageAtMs',
    read: time,
    right: 'a duration such as 6h',
    doc: 'When STS answers nothing; 0: never',
  },
  'sts-outage-for': {
    option: 'stsOutageForMs',
    read: time,
    right: 'a duration such as 30m',
    doc: 'For how long',
  },
}

/** Reads one flag's text into an option; a sentence where it is wrong. */
export function readFleetFlag(name: string, text: string): Partial<FleetOptions> | string {
  const flag = Object.hasOwn(FLEET_FLAGS, name) ? FLEET_FLAGS[name] : undefined
  if (flag === undefined)
    return `there is no option ${name}; the options are ${Object.keys(FLEET_FLAGS).join(', ')}`
  const value = flag.read(text)
  return value === undefined ? `${name}: expected ${flag.right}, found "${text}"` : { [flag.option]: value }
}

/** An option's value as it is written on the command line. */
export const optionText = (option: keyof FleetOptions, options: FleetOptions): string =>
  option.endsWith('Ms') ? formatDuration(Number(options[option])) : String(options[option])

/** What cannot be simulated, in words. */
export function checkFleet(options: FleetOptions): string | undefined {
  const keys = keysPerNode(options)
  if (options.nodes * keys > 30_000_000) {
    return `${options.nodes} nodes with ${keys} sessions each are more than this model holds (30 million)`
  }
  if (options.sessionDurationMs < 15 * MINUTE || options.sessionDurationMs > 12 * HOUR) {
    return 'session-duration: STS issues sessions of 15m to 12h'
  }
  if (options.zoneOutageAtMs > 0 && options.zones < 2) return 'zone-outage-at: with one zone nothing is left'
  return undefined
}

/** How many sessions a node can need at once: one per pod, or one per distinct key. */
export function keysPerNode(options: FleetOptions): number {
  const pods = options.podsPerNode + extraPods(options)
  switch (options.sessionScope) {
    case 'pod':
      return pods
    case 'service-account':
      return options.serviceAccounts
    case 'namespace':
      return options.namespaces
    case 'role':
      return options.roles
    default:
      return options.sessionScope satisfies never
  }
}

/** Pods that a node takes over when a zone is lost. */
export const extraPods = ({ podsPerNode, zones, zoneOutageAtMs }: FleetOptions): number =>
  zoneOutageAtMs > 0 && zones > 1 ? Math.ceil(podsPerNode / (zones - 1)) : 0
