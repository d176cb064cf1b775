import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { defineConfig } from 'tsup'

const fromRegistry = createRequire(new URL('../../packages/pod-registry/package.json', import.meta.url))

/** What is bundled in place of a whole package: which import, from where, and the part that is used. */
const SLIM: readonly (readonly [RegExp, RegExp, string])[] = [
  [/^prom-client$/, /./, 'prom-client.cjs'],
  [/^undici$/, /./, 'undici.cjs'],
  [
    /^(\.\/(azure_auth|gcp_auth|oidc_auth|gen\/index|middleware)\.js|socks|socks-proxy-agent)$/,
    /client-node\/dist\/config\.js$/,
    'unsupported-auth.mjs',
  ],
]

/** What the binary says of itself; a tarball without git has no commit. */
function build(): { commit: string; date: string } {
  try {
    const format = ['show', '-s', '--format=%h %cI', 'HEAD']
    const [commit = '', date = ''] = execFileSync('git', format, { encoding: 'utf8' }).trim().split(' ')
    return { commit, date }
  } catch {
    return { commit: 'unknown', date: '' }
  }
}

// One CommonJS file: Node starts it in half the time and with a sixth less memory than modules; what commands need
// stands in a second file that running the agent never reads.
export default defineConfig({
  entry: ['src/main.ts', 'src/commands.ts'],
  format: ['cjs'],
  outExtension: () => ({ js: '.cjs' }),
  target: 'node22',
  platform: 'node',
  minify: true,
  splitting: false,
  shims: true,
  sourcemap: false,
  clean: true,
  noExternal: [/.*/],
  define: { KUBE2IAM_BUILD: JSON.stringify(build()) },
  esbuildOptions(options) {
    options.mainFields = ['module', 'main']
    options.legalComments = 'none'
    // One character beyond Latin-1, and V8 keeps the whole source in two bytes a character.
    options.charset = 'ascii'
  },
  esbuildPlugins: [
    {
      name: 'kube2iam',
      setup(bundler) {
        bundler.onResolve({ filter: /^\.\/commands\.ts$/ }, () => ({
          path: './commands.cjs',
          external: true,
        }))
        // undici belongs to the packages that use it; this one does not depend on it.
        bundler.onResolve({ filter: /^undici\/lib\// }, ({ path }) => ({ path: fromRegistry.resolve(path) }))
        for (const [filter, from, part] of SLIM) {
          bundler.onResolve({ filter }, ({ importer }) =>
            from.test(importer) ? { path: join(import.meta.dirname, 'build', part) } : undefined,
          )
        }
      },
    },
  ],
})
