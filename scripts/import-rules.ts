import type { ImportRule } from './lib/imports.ts'

const middle = ['iptables-manager', 'pod-registry', 'role-policy', 'credential-broker', 'metadata-emulator']
const tests = /\.(test|long|root|contract)\.ts$|\/test\//
const scoped = (names: readonly string[]) => new RegExp(`^@kube2iam-ts/(${names.join('|')})(/|$)`)

/** Only the named files may import the dependency; test files aside. */
const home = (to: RegExp, files: RegExp, reason: string): ImportRule => ({
  from: /^(packages|apps)\/[^/]+\/src\//,
  except: new RegExp(`${tests.source}|${files.source}`),
  to,
  reason,
})

/** Who must not import whom, with the reason. The table in docs/architecture.md says the same in words. */
export const importRules: readonly ImportRule[] = [
  {
    from: /^packages\/core\//,
    to: /^@kube2iam-ts\/(?!core(\/|$))/,
    reason: 'core is the vocabulary that everything shares; it knows none of its users',
  },
  ...middle.map((name) => ({
    from: new RegExp(`^packages/${name}/`),
    to: scoped([...middle.filter((other) => other !== name), 'agent-runtime', 'agent', 'simulator']),
    reason: 'the five working packages stand alone; agent-runtime is the one place that joins them',
  })),
  {
    from: /^packages\/agent-runtime\//,
    to: scoped(['agent', 'simulator']),
    reason: 'the assembly is shared by both binaries and depends on neither',
  },
  {
    from: /^apps\/agent\//,
    to: scoped(['simulator']),
    reason: 'apps do not import apps: the agent must not carry the simulator',
  },
  {
    from: /^apps\/simulator\/src\//,
    except: tests,
    to: scoped(['agent']),
    reason: 'apps do not import apps: the simulator starts the agent as a process or uses agent-runtime',
  },
  {
    from: /^(packages|apps)\//,
    to: /^@kube2iam-ts\/(e2e|bench)(\/|$)/,
    reason: 'e2e and bench use everything and are used by nothing',
  },
  {
    from: /^packages\/[^/]+\/src\/(?!testing\.ts|lib\/.*(fake|scripted|testing|builders|test-)|.*\.test\.ts)/,
    to: /^@kube2iam-ts\/[^/]+\/testing$/,
    reason: 'fakes are for tests, the simulator, e2e and bench; shipped code must work without them',
  },
  {
    from: /^apps\/agent\/src\//,
    except: tests,
    to: /\/testing$/,
    reason: 'the agent that guards real credentials carries no fakes',
  },
  home(
    /^@kubernetes\/client-node/,
    /pod-registry\/src\/lib\//,
    'Kubernetes types and configuration stop at the registry’s rim',
  ),
  home(
    /^@aws-sdk\/|^@smithy\//,
    /credential-broker\/src\/lib\/|^apps\/simulator\/src\//,
    'AWS words exist only in the token service (and in the simulator’s real clients)',
  ),
  home(
    /^undici/,
    /(metadata-emulator|pod-registry)\/src\/lib\//,
    'HTTP clients live with the adapter that needs them',
  ),
  home(/^ip-num/, /core\/src\/lib\//, 'addresses are parsed in one place, so that equal addresses are equal'),
  home(
    /^re2js/,
    /role-policy\/src\/lib\//,
    'patterns run on one linear-time engine, behind one anchored matcher',
  ),
  home(
    /^prom-client/,
    /agent-runtime\/src\/lib\/|^apps\/[^/]+\/src\//,
    'packages below the assembly report events; only telemetry makes metrics',
  ),
  home(/^pino$|^yargs/, /^apps\/[^/]+\/src\//, 'logging and command lines belong to binaries'),
  home(
    /^yaml$/,
    /^apps\/[^/]+\/src\/|\/testing\.ts$|\/lib\/.*fake/,
    'text formats are read at the door, by binaries and fakes',
  ),
  home(
    /^node:child_process$/,
    /iptables-manager\/src\/lib\/|^apps\/simulator\/src\//,
    'one place runs commands, with argument vectors and never a shell',
  ),
  {
    from: /^packages\/[^/]+\/src\//,
    except: /\.test\.ts$/,
    to: /^\.\.?\/.*(?<!\.ts|\.json)$/,
    reason: 'relative imports name the file, so that Node runs the source as it is',
  },
]
