import { renderTable } from '../output/table.ts'
import { loadScenario } from '../scenario/load.ts'
import { ProblemsError } from '../scenario/problem.ts'
import { startPageServer } from '../serve/page-server.ts'
import type { ServedWorld } from '../serve/served-world.ts'
import { startServedWorld } from '../serve/served-world.ts'
import { watchFiles } from '../serve/watch-files.ts'
import type { Terminal } from '../terminal.ts'

export interface ServeCommand {
  readonly file: string
  /** The pod that tools on this machine are. */
  readonly self: string | undefined
  readonly pagePort: number
}

/** `kube2iam-sim serve`: the scenario's world with the real agent until Ctrl-C; reloads when the scenario changes. */
export async function serveCommand(command: ServeCommand, terminal: Terminal): Promise<number> {
  try {
    return await serve(command, terminal)
  } catch (error) {
    if (terminal.interrupted.aborted) return 130
    throw error
  }
}

async function serve({ file, self, pagePort }: ServeCommand, terminal: Terminal): Promise<number> {
  const scenario = loadScenario(file)
  const pods = new Set(
    scenario.objects
      .filter(({ kind }) => kind === 'Pod')
      .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
  )
  if (self !== undefined && !pods.has(self)) {
    throw new ProblemsError([
      { file: '--as', line: 1, column: 1, path: '', message: `the scenario has no pod ${self}` },
    ])
  }
  const served = await startServedWorld(scenario, self, terminal)
  const page = await startPageServer(served, pagePort).catch(async (error: unknown) => {
    await served.close()
    throw error
  })
  let reloading: Promise<void> = Promise.resolve()
  const unwatch = watchFiles(
    () => served.scenario.files,
    () => {
      reloading = reloading.then(() => reload(file, served, terminal))
    },
  )
  try {
    terminal.print(describe(served, page.url))
    await terminal.untilInterrupted()
    terminal.print('\nStopping.')
    return 0
  } finally {
    unwatch()
    await reloading
    await page.close()
    await served.close()
  }
}

async function reload(file: string, served: ServedWorld, terminal: Terminal): Promise<void> {
  try {
    await served.reload(loadScenario(file))
    terminal.print(`Reloaded ${file}.`)
  } catch (error) {
    if (terminal.interrupted.aborted) return
    // What runs goes on running; the person sees what is wrong and corrects it.
    terminal.warn(error instanceof Error ? error.message : String(error))
  }
}

function describe(served: ServedWorld, page: string): string {
  const { self, addresses } = served
  const lines = Object.entries(served.exports()).map(([name, value]) => `export ${name}='${value}'`)
  return [
    `The world of ${served.scenario.file} is running; it reloads when the file changes.`,
    '',
    `This machine is pod ${self ?? '(none)'}. In the terminal of your application:`,
    '',
    ...lines,
    '',
    'SDKs prefer AWS_CONTAINER_CREDENTIALS_FULL_URI; leave it out to use the instance metadata service.',
    'An AWS CLI before 2.13 does not know AWS_ENDPOINT_URL_STS: give it --endpoint-url "$AWS_ENDPOINT_URL_STS".',
    'Credentials of your own (AWS_ACCESS_KEY_ID, AWS_PROFILE, ~/.aws) come first: unset them.',
    '',
    renderTable(
      {
        head: ['pod', 'address (curl --interface)'],
        rows: addresses.map(({ pod, address }) => [pod, address]),
      },
      { colour: false },
    ),
    '',
    `Page: ${page}`,
    'Ctrl-C stops everything.',
  ].join('\n')
}
