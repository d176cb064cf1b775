import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { mustRun, run } from './command.ts'

/**
 * Everything that a run makes on the machine is named after the process that owns the run, so that a later run can
 * tell what a dead one left behind: `k2i-e2e-<pid>-<start time of that pid>-…`. A pid alone is not enough, it is reused.
 */
const NAME = /^k2i-e2e-(\d+)-([0-9a-z]+)-/

/** The prefix of this run: of the process that `KUBE2IAM_E2E_OWNER` names, else of this one. */
export function ownPrefix(): string {
  const pid = Number(process.env['KUBE2IAM_E2E_OWNER'] ?? process.pid)
  return `k2i-e2e-${pid}-${startTimeOf(pid) ?? '0'}-`
}

/** Removes what runs of processes that no longer exist left behind, and says what that was. */
export const sweepDead = (): Promise<string[]> => sweep((name) => !ownerLives(name))

/** Removes everything of this run. */
export const sweepOwn = (): Promise<string[]> => sweep((name) => name.startsWith(ownPrefix()))

async function sweep(chosen: (name: string) => boolean): Promise<string[]> {
  const namespaces = (await networkNamespaces()).filter((name) => NAME.test(name) && chosen(name))
  for (const name of namespaces) await removeNetworkNamespace(name)
  const folders = readdirSync(tmpdir()).filter((name) => NAME.test(name) && chosen(name))
  for (const name of folders) removeFolder(join(tmpdir(), name))
  return [...namespaces, ...folders]
}

/** Names of all network namespaces that `ip netns` knows. */
export async function networkNamespaces(): Promise<string[]> {
  const listing = await mustRun(['ip', 'netns', 'list'])
  return listing
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => name !== '')
}

/** Ends every process inside a network namespace and deletes it; its links, rules and sysctls go with it. */
export async function removeNetworkNamespace(name: string): Promise<void> {
  // A namespace lives on while a process is in it, even when its name is gone: so the processes go first.
  for (let attempt = 0; attempt < 50; attempt++) {
    const listing = await run(['ip', 'netns', 'pids', name])
    const pids = listing.stdout.split('\n').filter((pid) => pid !== '')
    if (pids.length === 0) break
    for (const pid of pids) kill(Number(pid))
    await delay(20)
  }
  const deleted = await run(['ip', 'netns', 'delete', name])
  if (deleted.code !== 0 && (await networkNamespaces()).includes(name)) {
    throw new Error(`cannot delete network namespace ${name}: ${deleted.stderr}`)
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself in between.
  }
}

function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 5 })
}

function ownerLives(name: string): boolean {
  const [, pid, start] = NAME.exec(name) ?? []
  return pid !== undefined && startTimeOf(Number(pid)) === start
}

/** Field 22 of /proc/<pid>/stat (proc_pid_stat(5)) in base 36; undefined when there is no such process. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the command in parentheses and may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return Number(fields[19]).toString(36)
  } catch {
    return undefined
  }
}
