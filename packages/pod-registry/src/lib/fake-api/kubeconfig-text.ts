/** A kubeconfig for one cluster and one user. JSON strings are YAML strings, so quoting is JSON's. */
export function kubeconfigText({
  server,
  token,
  ca,
}: {
  server: string
  token: string | undefined
  ca: string | undefined
}): string {
  const verification =
    ca === undefined
      ? '    insecure-skip-tls-verify: true'
      : `    certificate-authority-data: ${Buffer.from(ca).toString('base64')}`
  return [
    'apiVersion: v1',
    'kind: Config',
    'current-context: fake',
    'clusters:',
    '- name: fake',
    '  cluster:',
    `    server: ${JSON.stringify(server)}`,
    verification,
    'users:',
    '- name: fake',
    ...(token === undefined ? ['  user: {}'] : ['  user:', `    token: ${JSON.stringify(token)}`]),
    'contexts:',
    '- name: fake',
    '  context: {cluster: fake, user: fake}',
    '',
  ].join('\n')
}
