import { renderTable } from '../output/table.ts'
import type { Terminal } from '../terminal.ts'
import { askAll, startDemo } from './demo.ts'
import { demoTable } from './report.ts'
import { tryLines } from './try-lines.ts'

/** `kube2iam-sim demo`: exit status 0 only when every pod got what it should. */
export async function demoCommand({ keep }: { keep: boolean }, terminal: Terminal): Promise<number> {
  try {
    return await demonstrate(keep, terminal)
  } catch (error) {
    if (terminal.interrupted.aborted) return 130
    throw error
  }
}

async function demonstrate(keep: boolean, terminal: Terminal): Promise<number> {
  const started = performance.now()
  const demo = await startDemo(terminal)
  try {
    const { world, agents } = demo
    terminal.print('Embedded world on loopback:')
    terminal.print(`  Kubernetes API   ${world.urls.api}`)
    terminal.print(`  STS              ${world.urls.sts}`)
    terminal.print(`  EC2 metadata     ${world.urls.imds}`)
    for (const [node, agent] of agents) {
      terminal.print(
        `  agent on ${node}  ${agent.metadataUrl}  (process ${agent.pid}, ready after ${agent.readyAfterMs.toFixed(0)} ms)`,
      )
    }
    terminal.print('\nEvery pod is a process of its own that asks with the AWS SDK from its own address:\n')
    const lines = await askAll(demo)
    terminal.print(renderTable(demoTable(lines), { colour: terminal.colour }))
    const wrong = lines.filter(({ right }) => !right).length
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    terminal.print(
      wrong === 0
        ? `\nAll ${lines.length} pods got exactly what they should, in ${seconds} s.`
        : `\n${wrong} of ${lines.length} pods got something else than they should. The end of the agents' logs:`,
    )
    if (wrong > 0) {
      for (const [node, agent] of agents) terminal.print(`--- ${node}\n${agent.log.slice(-20).join('\n')}`)
    }
    if (keep && !terminal.interrupted.aborted) {
      terminal.print(`\n${tryLines(demo)}`)
      await terminal.untilInterrupted()
      terminal.print('\nStopping.')
    }
    return wrong === 0 ? 0 : 1
  } finally {
    await demo.close()
  }
}
