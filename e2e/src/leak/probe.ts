import type { Pod } from '../lab/lab.ts'
import { SECRET_PATHS } from '../main-job.ts'
import type { ProbeReport } from './report.ts'

/** A pod that never stops asking for the node's secrets. */
export interface Probe {
  /** The metadata address that it asks. */
  readonly host: string
  /** What happened to requests that were sent at `since` (milliseconds since the epoch) or later. */
  report(since?: number): Promise<ProbeReport>
  stop(): Promise<void>
}

const PROBER = new URL('prober.ts', import.meta.url).pathname

export async function startProbe(pod: Pod, canary: string, host: string): Promise<Probe> {
  const argv = [process.execPath, PROBER, host, canary, ...SECRET_PATHS]
  const prober = pod.start(argv, { ipc: true })
  return {
    host,
    report(since = 0) {
      return new Promise((resolve, reject) => {
        prober.child.once('message', (message) => resolve(message as ProbeReport))
        void prober.ended.then(() => reject(new Error(`the probe ended:\n${prober.output()}`)))
        prober.child.send({ since })
      })
    },
    stop: () => prober.stop(1_000),
  }
}
