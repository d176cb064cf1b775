import { readFile } from 'node:fs/promises'
import {
  configPathOf,
  type SettingsFile,
  type SettingsProblem,
  type SettingsSources,
} from '@kube2iam-ts/agent-runtime'

const LARGEST = 1024 * 1024

/** Reads the file that `--config` or `KUBE2IAM_CONFIG` names; `undefined` where none is named. */
export async function readConfig(
  sources: SettingsSources,
): Promise<SettingsFile | SettingsProblem | undefined> {
  const path = configPathOf(sources)
  if (path === undefined) return undefined
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    return problem(path, `cannot be read (${code})`, 'give the path of a readable YAML file')
  }
  if (text.length > LARGEST) return problem(path, 'is larger than 1 MiB', 'give a file of settings')
  // Only who has a file pays for the parser.
  const { parseDocument } = await import('yaml')
  const document = parseDocument(text, { prettyErrors: true })
  const [error] = document.errors
  if (error !== undefined) {
    const at = error.linePos?.[0]
    const where = at === undefined ? '' : ` at line ${at.line}, column ${at.col}`
    return problem(path, `is not YAML${where}`, error.message.split(/ at line|\n/)[0] ?? 'see yaml.org')
  }
  try {
    return { path, document: document.toJS({ maxAliasCount: 100 }) as unknown }
  } catch {
    return problem(path, 'repeats itself without end', 'use fewer aliases')
  }
}

const problem = (path: string, wrong: string, right: string): SettingsProblem => ({
  flag: '--config',
  wrong: `"${path}" ${wrong}`,
  right,
})
