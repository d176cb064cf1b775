import { ADDRESSES, type Pod } from '../lab/lab.ts'
import type { LoadReport } from './report.ts'

/** A pod that never stops asking for its own credentials. */
export interface Load {
  report(): Promise<LoadReport>
  stop(): Promise<void>
}

const LOADER = new URL('loader.ts', import.meta.url).pathname

export async function startLoad(pod: Pod, role: string): Promise<Load> {
  const loader = pod.start([process.execPath, LOADER, ADDRESSES.metadata, role], { ipc: true })
  const next = () =>
    new Promise<unknown>((resolve, reject) => {
      loader.child.once('message', resolve)
      void loader.ended.then(() => reject(new Error(`the load ended:\n${loader.output()}`)))
    })
  await next()
  return {
    async report() {
      const answer = next()
      loader.child.send('report')
      return (await answer) as LoadReport
    },
    stop: () => loader.stop(1_000),
  }
}
