import { suggestion } from './arguments.ts'
import { environmentName, type Flag } from './flag.ts'
import type { SettingsProblem } from './problem.ts'

/**
 * Kubernetes puts variables for every Service of the namespace into each pod: a Service named `kube2iam` or
 * `kube2iam-metrics` makes `KUBE2IAM_PORT=tcp://…`, `KUBE2IAM_METRICS_PORT=tcp://…`, `KUBE2IAM_SERVICE_HOST` and
 * more. They are not settings, even where the name is one of ours.
 */
const SERVICE_LINK_NAME =
  /_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|(^|_)PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$/
const SERVICE_LINK_VALUE = /^(tcp|udp|sctp):\/\//

/** The `KUBE2IAM_*` variables by flag name; unknown ones are problems, so that a misspelt one is noticed. */
export function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  flags: readonly Flag<unknown>[],
): { values: ReadonlyMap<string, string>; problems: readonly SettingsProblem[] } {
  const byVariable = new Map(flags.map((flag) => [environmentName(flag.name), flag.name]))
  const values = new Map<string, string>()
  const problems: SettingsProblem[] = []
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith('KUBE2IAM_') || value === undefined || SERVICE_LINK_VALUE.test(value)) continue
    const name = byVariable.get(variable)
    if (name !== undefined) values.set(name, value)
    else if (!SERVICE_LINK_NAME.test(variable)) {
      const meant = variable.slice('KUBE2IAM_'.length).toLowerCase().replaceAll('_', '-')
      problems.push({
        flag: variable,
        wrong: 'is the environment variable of no flag',
        right: suggestion(meant, [...byVariable.values()]),
      })
    }
  }
  return { values, problems }
}
