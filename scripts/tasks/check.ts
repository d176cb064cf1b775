import { members, runAll, runThrough, type Step } from '../lib/step.ts'

// What must hold besides the tests: format, lint, types, import directions, unused code, package shape.
const typed = [...members('packages', 'apps'), 'e2e', 'bench', 'scripts']
const sources: Step[] = [
  { name: 'format', command: 'biome', args: ['check', '.'] },
  { name: 'lint', command: 'oxlint', args: ['--type-aware', '--deny-warnings', '.'] },
  ...typed.map((folder) => ({ name: `types ${folder}`, command: 'tsc', args: ['-p', folder] })),
  { name: 'import directions', command: 'node', args: ['scripts/check-imports.ts'] },
  { name: 'package manifests', command: 'node', args: ['scripts/check-packages.ts'] },
  { name: 'workspace consistency', command: 'sherif', args: ['--select', 'highest'] },
  { name: 'unused code', command: 'knip', args: ['--no-progress'] },
  { name: 'commitments', command: 'node', args: ['scripts/check-words.ts'] },
]
const packed: Step[] = members('packages', 'apps').map((folder) => ({
  name: `packed ${folder}`,
  command: 'node',
  args: ['scripts/check-packed.ts', folder],
}))

const sourcesOk = await runAll(sources)
await runThrough({ name: 'build', command: 'turbo', args: ['run', 'build', '--output-logs=errors-only'] })
const packedOk = await runAll(packed)
process.exitCode = sourcesOk && packedOk ? 0 : 1
