import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ADDRESSES, type Lab } from '../lab/lab.ts'
import type { LabProcess } from '../lab/process.ts'
import type { WorldApi, WorldMessage, WorldOptions, WorldReady } from './protocol.ts'

/** The world's methods as a test calls them: each is a round trip. */
type Remote<Api> = {
  readonly [Name in keyof Api]: Api[Name] extends (...args: infer Args) => infer Result
    ? (...args: Args) => Promise<Result>
    : never
}

export interface World extends WorldReady, Remote<WorldApi> {
  readonly account: string
  readonly region: string
  readonly process: LabProcess
  /** A kubeconfig file for the API server. */
  readonly kubeconfigFile: string
  /** `arn:aws:iam::<account>:role/<name>` */
  roleArn(name: string): string
}

const MAIN = new URL('main.ts', import.meta.url).pathname
const ACCOUNT = '123456789012'
const REGION = 'eu-central-1'
export const NODE_ROLE = 'canary-node-role'

/** Starts everything that is outside the agent, in the lab's namespace that has the metadata address. */
export async function startWorld(lab: Lab, given: Partial<WorldOptions> = {}): Promise<World> {
  const options: WorldOptions = {
    address: lab.worldAddress,
    metadata: [ADDRESSES.metadata, ADDRESSES.metadata6],
    account: ACCOUNT,
    region: REGION,
    nodeRole: NODE_ROLE,
    ...given,
  }
  const process_ = lab.metadata.start([process.execPath, MAIN, JSON.stringify(options)], { ipc: true })
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  let calls = 0

  const ready = await new Promise<WorldReady>((resolve, reject) => {
    process_.child.on('message', (message: WorldMessage) => {
      if ('ready' in message) return resolve(message.ready)
      const call = waiting.get(message.id)
      waiting.delete(message.id)
      if ('error' in message) call?.reject(new Error(message.error))
      else call?.resolve(message.result)
    })
    void process_.ended.then(() => {
      const error = new Error(`the world ended:\n${process_.output()}`)
      reject(error)
      for (const call of waiting.values()) call.reject(error)
    })
  })

  const call = (method: string, args: readonly unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const id = calls++
      waiting.set(id, { resolve, reject })
      process_.child.send({ id, method, args })
    })
  const remote =
    (method: keyof WorldApi) =>
    (...args: readonly unknown[]) =>
      call(method, args)

  const kubeconfigFile = join(lab.folder, 'kubeconfig')
  writeFileSync(kubeconfigFile, ready.kubeconfig)
  return {
    ...ready,
    account: options.account,
    region: options.region,
    process: process_,
    kubeconfigFile,
    roleArn: (name) => `arn:aws:iam::${options.account}:role/${name}`,
    apply: remote('apply'),
    delete: remote('delete'),
    list: remote('list'),
    addRole: remote('addRole'),
    addToken: remote('addToken'),
    stsCalls: remote('stsCalls'),
    s3Calls: remote('s3Calls'),
    apiRequests: remote('apiRequests'),
    instanceRequests: remote('instanceRequests'),
    fault: remote('fault'),
    get: remote('get'),
  } as World
}
