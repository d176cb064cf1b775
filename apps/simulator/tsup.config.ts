import { defineConfig } from 'tsup'

export default defineConfig({
  entry: { main: 'src/main.ts', pod: 'src/demo/pod.ts' },
  format: ['esm'],
  target: 'node22',
  platform: 'node',
  splitting: true,
  clean: true,
  dts: false,
})
