import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './lib/step.ts'

// Things that must not be committed: paths of one machine, registry hosts other than the documented defaults, real-looking
// keys, focused tests, and left-over debugging.
const forbidden: readonly { readonly pattern: RegExp; readonly files: RegExp; readonly why: string }[] = [
  // Access key IDs are in base 32: no 0, 1, 8 or 9, which keys made up for tests have.
  {
    pattern: /\bAKIA(?![A-Z2-7]*(?:EXAMPLE|WARMUP))[A-Z2-7]{16}\b/,
    files: /./,
    why: 'looks like a real access key',
  },
  {
    pattern: /-----BEGIN (RSA |EC )?PRIVATE KEY-----[^'"`\n]*\n[A-Za-z0-9+/=]{40}/,
    files: /^(?!.*\/test\/)/,
    why: 'is a private key',
  },
  { pattern: /\b(test|describe|it)\.only\(/, files: /\.ts$/, why: 'runs one test and hides the others' },
  { pattern: /^\s*debugger\b/m, files: /\.ts$/, why: 'stops for a debugger' },
  {
    pattern: /"resolved":\s*"http|tarball: http/,
    files: /lock/,
    why: 'ties the installation to one registry host',
  },
]
const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
})
  .split('\0')
  .filter((file) => file !== '' && file !== 'scripts/check-words.ts')
let count = 0
for (const file of files) {
  let text: string
  try {
    text = readFileSync(join(root, file), 'utf8')
  } catch {
    continue // deleted in the work tree
  }
  for (const { pattern, why } of forbidden.filter((rule) => rule.files.test(file))) {
    const match = pattern.exec(text)
    if (match === null) continue
    count += 1
    const line = text.slice(0, match.index).split('\n').length
    process.stdout.write(`${file}:${line}: ${why}\n`)
  }
}
process.stdout.write(`commitments: ${count} broken in ${files.length} files\n`)
process.exitCode = count === 0 ? 0 : 1
