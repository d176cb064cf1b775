import { rename, writeFile } from 'node:fs/promises'
import type { Agent, AgentSettings, BoundAddresses, LogLevel } from '@kube2iam-ts/agent-runtime'
import { isCoded } from '@kube2iam-ts/core'
import { createLogging, type Logging } from './logging.ts'
import { settleMemory } from './settle-memory.ts'
import { type Environment, wire } from './wire.ts'

/** What stopping may take beyond requests under way, before the process ends as it is. */
const STOP_MARGIN_MS = 1_000

/** Runs the agent until SIGTERM or SIGINT. Resolves with the exit status. */
export async function run(settings: AgentSettings, environment: Environment): Promise<number> {
  const logging = createLogging({ format: settings.logFormat, level: levelOf(settings) })
  try {
    return await runLogged(settings, environment, logging)
  } finally {
    logging.flush()
  }
}

async function runLogged(
  settings: AgentSettings,
  environment: Environment,
  logging: Logging,
): Promise<number> {
  const { log } = logging
  const stopped = stopSignal()
  let agent: Agent
  try {
    agent = await wire(settings, environment, log)
  } catch (error) {
    if (!isCoded(error)) throw error
    process.stderr.write(`kube2iam: ${error.message.replaceAll(/\s+/g, ' ')}\n`)
    return 2
  }
  process.on('unhandledRejection', (error) =>
    log.write('error', 'a promise failed that nobody awaits', { error }),
  )
  process.on('uncaughtException', (error) => {
    // What state is left is unknown: a new process has a known one, and the rules keep pods waiting for it.
    log.write('error', 'the agent ends because of an error that nobody caught', { error })
    logging.flush()
    process.exit(1)
  })

  let addresses: BoundAddresses
  try {
    addresses = await agent.start()
  } catch (error) {
    log.write('error', 'the agent cannot listen', { reason: reasonOf(error) })
    await stopInTime(agent, 'it cannot listen', settings, logging)
    return 1
  }
  const { portsFile } = settings
  try {
    if (portsFile !== undefined) await writePorts(portsFile, addresses)
  } catch (error) {
    // Whoever waits for the file would wait for ever.
    log.write('error', 'the ports file cannot be written', { path: portsFile, reason: reasonOf(error) })
    await stopInTime(agent, 'it cannot say where it listens', settings, logging)
    return 1
  }

  settleMemory()
  await stopInTime(agent, await stopped, settings, logging)
  return 0
}

/** Stops it, or ends the process: Kubernetes would too, after a grace period in which nobody serves the node. */
async function stopInTime(
  agent: Agent,
  why: string,
  { shutdownTimeout }: AgentSettings,
  logging: Logging,
): Promise<void> {
  const withinMs = shutdownTimeout + STOP_MARGIN_MS
  const late = setTimeout(() => {
    logging.log.write('error', 'the agent did not stop in time', { withinMs })
    logging.flush()
    process.exit(1)
  }, withinMs)
  await agent.stop(why)
  clearTimeout(late)
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        resolve(signal)
        // Who asks twice means at once.
        process.once(signal, () => process.exit(1))
      })
    }
  })
}

/** Written beside and renamed, so that who waits for the file never reads half of it. */
async function writePorts(path: string, addresses: BoundAddresses): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(addresses)}\n`)
  await rename(`${path}.new`, path)
}

/** logrus's words for pino's. */
function levelOf({ verbose, logLevel }: AgentSettings): LogLevel | 'fatal' {
  if (verbose) return 'debug'
  if (logLevel === 'warning') return 'warn'
  return logLevel === 'panic' ? 'fatal' : logLevel
}
