import { rename, writeFile } from 'node:fs/promises'
import type { Agent, AgentSettings, BoundAddresses, LogLevel } from '@kube2iam-ts/agent-runtime'
import { isCoded } from '@kube2iam-ts/core'
import { createLogging, type Logging } from './logging.ts'
import { settleMemory } from './settle-memory.ts'
import { type Environment, wire } from './wire.ts'

/** Kubernetes kills what has not stopped after its grace period; who asked for 5 s gets an end within 5 s. */
const STOP_MS = 5_000

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
    log.write('error', 'the agent cannot listen', {
      reason: error instanceof Error ? error.message : String(error),
    })
    await agent.stop('it cannot listen')
    return 1
  }
  if (settings.portsFile !== undefined) await writePorts(settings.portsFile, addresses)

  settleMemory()
  const why = await stopped
  const late = setTimeout(() => {
    log.write('error', 'the agent did not stop in time', { withinMs: STOP_MS })
    logging.flush()
    process.exit(1)
  }, STOP_MS)
  await agent.stop(why)
  clearTimeout(late)
  return 0
}

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
