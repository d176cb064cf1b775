/** One thing that was looked at. */
export interface Finding {
  /** Stable name of the check. */
  readonly check: string
  /** `unknown`: what cannot be told from here, and has to be looked up elsewhere. */
  readonly severity: 'ok' | 'unknown' | 'warning' | 'error'
  readonly message: string
  readonly remedy?: string
}

export const fine = (check: string, message: string): Finding => ({ check, severity: 'ok', message })
export const untold = (check: string, message: string, remedy: string): Finding => ({
  check,
  severity: 'unknown',
  message,
  remedy,
})
export const doubtful = (check: string, message: string, remedy: string): Finding => ({
  check,
  severity: 'warning',
  message,
  remedy,
})
export const broken = (check: string, message: string, remedy: string): Finding => ({
  check,
  severity: 'error',
  message,
  remedy,
})

/** What an error says, for a finding. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
