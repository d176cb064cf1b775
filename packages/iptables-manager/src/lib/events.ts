import type { CaptureSource } from './capture-rules.ts'
import type { ProbeResult } from './probe.ts'
import type { BackendName } from './settings.ts'

/** Why the rules were looked at. */
export type LookReason = 'start' | 'monitor' | 'poll' | 'settings' | 'asked'

/** What the capture manager tells. No event carries a secret; all are rare but `capture-looked`. */
export type CaptureEvent =
  | { readonly type: 'capture-backend-chosen'; readonly backend: BackendName; readonly evidence: string }
  | {
      readonly type: 'capture-sources-found'
      readonly sources: readonly CaptureSource[]
      /** Where the sources come from, for the one log line. */
      readonly evidence: readonly string[]
    }
  | {
      readonly type: 'capture-interface-without-pods'
      readonly interface: string
      readonly suggestion: string
    }
  | { readonly type: 'capture-pods-apart'; readonly pods: number; readonly why: string }
  | { readonly type: 'capture-ipv6-not-redirected'; readonly reason: string }
  /** The kernel has no policy routing, or `ip` is missing: only netfilter guards. Told again when the reason changes. */
  | { readonly type: 'capture-routing-guard-unavailable'; readonly reason: string }
  | { readonly type: 'capture-looked'; readonly reason: LookReason; readonly durationMs: number }
  | {
      readonly type: 'capture-repaired'
      readonly reason: LookReason
      /** How many changes were made, and where. */
      readonly steps: number
      readonly tables: readonly string[]
      /** The program that changed the rule set before, where the monitor says so. */
      readonly changedBy?: string
      readonly durationMs: number
    }
  | { readonly type: 'capture-look-failed'; readonly reason: LookReason; readonly error: unknown }
  | { readonly type: 'capture-yielded'; readonly instance: string }
  /** Nobody listens where a later instance's rules lead: it has died, and its rules are replaced. */
  | { readonly type: 'capture-taken-over'; readonly instance: string }
  | {
      readonly type: 'capture-contended'
      readonly repairs: number
      readonly withinMs: number
      readonly changedBy?: string
    }
  | { readonly type: 'capture-connections-cut'; readonly connections: number }
  | { readonly type: 'capture-conntrack-unavailable'; readonly reason: string }
  | { readonly type: 'capture-monitor-started'; readonly program: string }
  | { readonly type: 'capture-monitor-lost'; readonly reason: string }
  | { readonly type: 'capture-block-installed'; readonly backend: BackendName }
  | { readonly type: 'capture-swept'; readonly steps: number; readonly tables: readonly string[] }
  | { readonly type: 'capture-removed'; readonly steps: number; readonly tables: readonly string[] }
  | { readonly type: 'capture-probed'; readonly result: ProbeResult }
