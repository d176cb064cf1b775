import type { RunningDemo } from './demo.ts'

/** What a person can type while the world is left running. */
export function tryLines({ world, agents }: RunningDemo): string {
  const agent = agents.get('node-1')
  const url = agent?.metadataUrl ?? ''
  const credentials = 'latest/meta-data/iam/security-credentials'
  return [
    'The world keeps running. To try it from another terminal:',
    '',
    '  # pod shop/web (127.44.0.1): the metadata service with a token (IMDSv2), then without (IMDSv1)',
    `  TOKEN=$(curl -s --interface 127.44.0.1 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 600' ${url}/latest/api/token)`,
    `  curl -s --interface 127.44.0.1 -H "X-aws-ec2-metadata-token: $TOKEN" ${url}/${credentials}/; echo`,
    `  curl -s --interface 127.44.0.1 ${url}/${credentials}/shop-web; echo`,
    '',
    '  # the cluster; an annotation changes what a pod gets at once',
    `  kubectl --kubeconfig ${world.kubeconfig} get pods --all-namespaces -o wide`,
    `  kubectl --kubeconfig ${world.kubeconfig} -n shop annotate pod plain iam.amazonaws.com/role=shop-web`,
    `  curl -s --interface 127.44.0.5 ${url}/${credentials}/; echo`,
    '',
    '  # the AWS CLI cannot choose its address and comes from 127.0.0.1, which is pod default/laptop here',
    `  env -i PATH="$PATH" AWS_EC2_METADATA_SERVICE_ENDPOINT=${url}/ AWS_DEFAULT_REGION=eu-west-1 \\`,
    `    aws sts get-caller-identity --endpoint-url ${world.urls.sts}`,
    '',
    '  # the agent’s own account of itself',
    `  curl -s ${agent?.metricsUrl ?? ''}/readyz; echo`,
    `  curl -s ${agent?.metricsUrl ?? ''}/metrics`,
    '',
    'Ctrl-C stops everything.',
  ].join('\n')
}
