import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FakeApiTls } from '@kube2iam-ts/pod-registry/testing'
import { mustRun } from '../lab/command.ts'

/** A certificate authority of the test's own, and a server certificate for one address. */
export async function makeCertificates(folder: string, address: string): Promise<FakeApiTls> {
  const file = (name: string) => join(folder, name)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1']
  const openssl = (...args: readonly string[]) => mustRun(['openssl', ...args])
  const ca = ['-keyout', file('ca.key'), '-out', file('ca.crt'), '-subj', '/CN=e2e authority']
  await openssl('req', '-x509', ...key, ...ca)
  const request = ['-keyout', file('api.key'), '-out', file('api.csr'), '-subj', '/CN=kube-apiserver']
  await openssl('req', '-new', ...key.slice(0, 5), ...request)
  writeFileSync(file('api.ext'), `subjectAltName=IP:${address}\n`)
  const signed = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '1']
  const names = ['-in', file('api.csr'), '-extfile', file('api.ext'), '-out', file('api.crt')]
  await openssl('x509', '-req', ...signed, ...names)
  const read = (name: string) => readFileSync(file(name), 'utf8')
  return { ca: read('ca.crt'), cert: read('api.crt'), key: read('api.key') }
}
