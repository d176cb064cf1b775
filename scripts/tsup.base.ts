import { defineConfig } from 'tsup'

/** How every library is built: ESM only, one file per public entry with its declarations. */
export const library = (entry: string[]) =>
  defineConfig({
    entry,
    format: ['esm'],
    target: 'node22',
    platform: 'node',
    dts: { compilerOptions: { ignoreDeprecations: '6.0' } },
    splitting: true,
    clean: true,
    sourcemap: false,
    treeshake: true,
  })
