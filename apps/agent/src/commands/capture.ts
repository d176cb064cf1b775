import { ignoreReports } from '@kube2iam-ts/core'
import type { CaptureManager } from '@kube2iam-ts/iptables-manager'
import { openWays, printPlan, printStatus, printSteps } from '@kube2iam-ts/iptables-manager'
import { createCapture } from '../capture.ts'
import { type CommandInput, say, sayJson, settingsOf } from './command.ts'

const managerOf = async (input: CommandInput): Promise<CaptureManager> =>
  createCapture(await settingsOf(input), () => {})

/**
 * Puts the guard in place: from now on no pod of this node reaches the metadata service but through the agent. Exit
 * status 1 where that cannot be had for each address family.
 */
export async function install(input: CommandInput): Promise<number> {
  const capture = createCapture(await settingsOf(input), ignoreReports, 'block')
  const open = openWays(await capture.installBlock())
  if (open.length === 0)
    return say(
      'Pods of this node are kept from the metadata service until the agent redirects them to itself.\n',
    )
  for (const { why, remedy } of open) await say(`${why}: ${remedy}\n`)
  return 1
}

export interface UninstallInput extends CommandInput {
  readonly alsoOthers: boolean
  readonly dryRun: boolean
}

/** Removes what is ours, and what others of this kind left where that is asked for. */
export async function uninstall({ alsoOthers, dryRun, ...input }: UninstallInput): Promise<number> {
  const capture = createCapture(await settingsOf(input), ignoreReports, 'removal')
  const leftovers = await capture.leftovers()
  for (const { backend, table, chain, raw, leadsTo } of leftovers) {
    await say(
      `${alsoOthers ? 'left by another agent' : 'left by another agent, and kept'}: ${backend} ${table} -A ${chain} ${raw} (leads to ${leadsTo})\n`,
    )
  }
  const steps = dryRun ? await capture.planRemoval() : await capture.remove()
  await say(steps.length === 0 ? 'There are no rules of ours.\n' : printSteps(steps))
  if (dryRun) return 0
  if (alsoOthers && leftovers.length > 0) await capture.removeLeftovers(leftovers)
  return say('Pods of this node reach its metadata service, and with it the role of the node.\n')
}

export interface PrintInput extends CommandInput {
  readonly json: boolean
}

/** What the agent would change now. */
export async function plan({ json, ...input }: PrintInput): Promise<number> {
  const planned = await (await managerOf(input)).plan()
  return json ? sayJson(planned) : say(printPlan(planned))
}

/** What is there now. Exit status 1 where pods are not redirected, or reach the node's own by either family. */
export async function status({ json, ...input }: PrintInput): Promise<number> {
  const seen = await (await managerOf(input)).inspect()
  await (json ? sayJson(seen) : say(printStatus(seen)))
  const works = seen.state === 'in-place' || seen.state === 'yielded'
  return works && openWays(seen).length === 0 ? 0 : 1
}
