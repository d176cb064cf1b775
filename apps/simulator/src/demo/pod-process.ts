import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { PodErrand, PodMessage, PodResult } from './pod-messages.ts'

/**
 * Runs one pod to its result. `onAsking` is called when the pod is about to send its first request. Where the signal is
 * aborted the pod's process is killed and the promise rejects.
 */
export function runPod(errand: PodErrand, onAsking: () => void, signal: AbortSignal): Promise<PodResult> {
  const file = import.meta.url.endsWith('.ts') ? './pod.ts' : './pod.js'
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [], {
    // A pod's environment holds no credentials and no settings of the person who runs this.
    env: { PATH: process.env['PATH'] ?? '' },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    signal,
    killSignal: 'SIGKILL',
  })
  let complaint = ''
  child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
  return new Promise((resolve, reject) => {
    child.on('message', (message: PodMessage) => {
      if (message.kind === 'asking') onAsking()
      else resolve(message.result)
    })
    child.on('error', reject)
    child.on('exit', (code) => reject(new Error(`the pod's process ended with ${code}: ${complaint.trim()}`)))
    if (child.connected) child.send(errand)
  })
}
