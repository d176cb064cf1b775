import type { HealthReport } from './health.ts'

/** An answer of the status listener. */
export interface StatusAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

export interface StatusSources {
  readonly health: () => HealthReport
  /** Prometheus text. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>
  /** What `/debug/store` shows, without secrets; absent unless `--debug`. */
  readonly debug?: () => unknown
}

/** Which part of the routes a listener serves. */
export interface StatusScope {
  /**
   * `private`: everything. `shared`: the port that pods reach too, where kube2iam has `/healthz` and `/metrics`;
   * `probe`: that port when metrics have one of their own, where only `/healthz` is kept for existing probes.
   */
  readonly listener: 'private' | 'shared' | 'probe'
  /** Whether the client is on this node (`kubectl port-forward` is): `/debug` is for nobody else. */
  readonly local: boolean
}

const text = (status: number, body: string): StatusAnswer => ({
  status,
  contentType: 'text/plain; charset=utf-8',
  body,
})
const json = (status: number, body: unknown): StatusAnswer => ({
  status,
  contentType: 'application/json',
  body: `${JSON.stringify(body, null, 2)}\n`,
})

/** Answers a status request; `undefined` where the path is none of these, which on a shared port is then a pod's. */
export async function answerStatus(
  target: string,
  sources: StatusSources,
  { listener, local }: StatusScope,
): Promise<StatusAnswer | undefined> {
  const path = target.split('?')[0]
  // Alive is whoever answers: a dependency that is down is no reason to be restarted (jtblin/kube2iam#251).
  if (path === '/healthz') return text(200, 'ok\n')
  if (listener === 'probe') return undefined
  if (path === '/metrics') {
    const metrics = await sources.metrics()
    return { status: 200, contentType: metrics.contentType, body: metrics.text }
  }
  if (path === '/readyz') {
    const report = sources.health()
    // Pods can read a shared port: what is wrong with the node is not for them.
    return listener === 'shared'
      ? text(report.ready ? 200 : 503, report.ready ? 'ready\n' : 'not ready\n')
      : json(report.ready ? 200 : 503, report)
  }
  if (listener === 'shared') return undefined
  if (path === '/debug/store' && sources.debug !== undefined) {
    return local ? json(200, sources.debug()) : text(403, 'only from this node: use kubectl port-forward\n')
  }
  return text(404, 'there are /healthz, /readyz and /metrics\n')
}
