/** What one part of the agent says of itself. */
export interface PartState {
  readonly ok: boolean
  /** What is wrong and what would help, or what was seen where all is well. */
  readonly reason: string
}

export interface HealthPart {
  /** `pods`, `interception`, … */
  readonly name: string
  /** Whether the agent counts as not ready without it. Other parts only degrade. */
  readonly required: boolean
  state(): PartState
}

export interface HealthReport {
  readonly ready: boolean
  readonly parts: readonly (PartState & { readonly name: string; readonly required: boolean })[]
}

/** Readiness, computed from the parts whenever somebody asks: there is no stored state that could be out of date. */
export interface Health {
  add(part: HealthPart): void
  report(): HealthReport
}

export function createHealth(): Health {
  const parts: HealthPart[] = []
  return {
    add: (part) => {
      parts.push(part)
    },
    report() {
      const states = parts.map((part) => ({ name: part.name, required: part.required, ...part.state() }))
      return { ready: states.every(({ ok, required }) => ok || !required), parts: states }
    },
  }
}
