import { existsSync, writeFileSync } from 'node:fs'
import { assertWritable } from '../output/report-file.ts'
import { scenarioSchema } from '../scenario/scenario.ts'
import type { Terminal } from '../terminal.ts'

/** `kube2iam-sim init`: writes a first scenario that explains itself; exit status 2 where a file is in the way. */
export function initCommand(file: string, terminal: Terminal): number {
  if (existsSync(file)) {
    terminal.warn(`kube2iam-sim init: ${file} exists already; name another file`)
    return 2
  }
  assertWritable(file, 'init')
  writeFileSync(file, FIRST_SCENARIO)
  terminal.print(`Wrote ${file}. Run it: kube2iam-sim run ${file}`)
  return 0
}

/** `kube2iam-sim schema`: the JSON Schema of scenarios, for editors. */
export function schemaCommand(terminal: Terminal): number {
  terminal.print(JSON.stringify(scenarioSchema(), null, 2))
  return 0
}

export const FIRST_SCENARIO = `# yaml-language-server: $schema=https://unpkg.com/@kube2iam-ts/simulator/schema/scenario.schema.json
# A scenario: a cluster, AWS, the agent's settings, and what happens. Run it with: kube2iam-sim run FILE
version: 1
name: my first scenario

# The cluster at the start. Beside these short forms, manifests: [k8s/*.yaml] reads Kubernetes manifests, or what
# \`kubectl get pods,ns,sa -A -o yaml\` wrote.
cluster:
  namespaces:
    shop: { allowedRoles: ['shop-*'] } # iam.amazonaws.com/allowed-roles
  pods:
    shop/web: { ip: 10.0.0.7, role: shop-web } # iam.amazonaws.com/role
    shop/greedy: { ip: 10.0.0.8, role: admin }

# Roles that exist. {} lets the node's role assume it; trust: takes IAM's own JSON. iam: [iam/*.json] reads what
# \`aws iam get-account-authorization-details --filter Role\` wrote.
aws:
  account: '123456789012'
  region: eu-west-1
  roles:
    shop-web: {}
    admin: {}

# The agent's own flags, by name. daemonset: deploy/kube2iam.yaml takes them from your manifest.
agent:
  settings:
    namespace-restrictions: true

# What must hold throughout. That no pod gets another's identity or the node's role is checked unless it is switched off
# here (no-foreign-identity: false), and reports say so.
invariants:
  min-life: 25m

# What happens, one after the other, under simulated time.
steps:
  - name: a pod gets its own role
    request: { pod: shop/web }
    expect: { role: shop-web }

  - name: its namespace does not let it be admin
    request: { pod: shop/greedy }
    expect: { denied: namespace-denied }

  - name: STS is away for half an hour
    fault: { sts: down, for: 30m }
  - advance: 29m
  - name: nobody notices
    request: { pod: shop/web }
    expect: { role: shop-web, minLife: 25m }
`
