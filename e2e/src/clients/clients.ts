import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Lab, Pod } from '../lab/lab.ts'
import { S3_BUCKET, S3_OBJECT } from '../world/s3.ts'
import type { World } from '../world/world.ts'

/**
 * How a client is made to ask. `imds` lets it choose, as it comes; `v1` forbids it to use a token; `required` is as it
 * has to be set up for a metadata service that wants tokens.
 */
export type Way = 'imds' | 'v1' | 'required' | 'container'

/** A program that runs inside a pod, unmodified, and makes one signed call with the credentials that it finds. */
export interface Client {
  readonly name: string
  /** System commands and files that it needs. */
  readonly needs: readonly string[]
  /** Whether it can, or why not. */
  readonly ways: Readonly<Record<'v1' | 'container', true | string>>
  /** Its version, as it says itself. */
  version(at: Place): Promise<string>
  /** Makes the call; resolves with the ARN that the service saw, rejects with what the client said. */
  callerArn(at: Place, way: Way): Promise<string>
}

/** Where a client runs. */
export interface Place {
  readonly lab: Lab
  readonly world: World
  readonly pod: Pod
  /** The service-account token that is projected into the pod; for the container protocol. */
  readonly token?: string
}

const script = (name: string): string => new URL(name, import.meta.url).pathname

/** The environment of a container that was told region and endpoint, and nothing about credentials. */
export function podEnv({ lab, world, token }: Place, way: Way): Record<string, string> {
  const home = mkdtempSync(join(lab.folder, 'home-'))
  const env = {
    HOME: home,
    AWS_REGION: world.region,
    AWS_DEFAULT_REGION: world.region,
    AWS_ENDPOINT_URL_STS: world.stsUrl,
  }
  if (way !== 'container') return env
  const tokenFile = join(home, 'eks-pod-identity-token')
  writeFileSync(tokenFile, token ?? '')
  return {
    ...env,
    AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://169.254.170.23/v1/credentials',
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile,
  }
}

/** The same for clients older than EKS Pod Identity: the ECS form, with the token in the environment. */
function relativeEnv(place: Place): Record<string, string> {
  const env = podEnv(place, 'imds')
  return {
    ...env,
    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v1/credentials',
    AWS_CONTAINER_AUTHORIZATION_TOKEN: place.token ?? '',
  }
}

/** What a client that prints GetCallerIdentity's answer as JSON has found out. */
async function identity(place: Place, argv: readonly string[], env: Record<string, string>): Promise<string> {
  const output = await place.pod.mustRun(argv, { env })
  const arn = /"[Aa]rn": ?"([^"]+)"/.exec(output)?.[1]
  if (arn === undefined) throw new Error(`no ARN in: ${output}`)
  return arn
}

async function firstLine(place: Place, argv: readonly string[]): Promise<string> {
  return (await place.pod.mustRun(argv, { env: { HOME: place.lab.folder } })).split('\n')[0] ?? ''
}

const onlyV2 = 'always asks for a token first'

const awsCli: Client = {
  name: 'AWS CLI v2',
  needs: ['aws'],
  ways: { v1: onlyV2, container: true },
  version: async (at) => /aws-cli\/(\S+)/.exec(await firstLine(at, ['aws', '--version']))?.[1] ?? '',
  callerArn: (at, way) =>
    identity(
      at,
      ['aws', 'sts', 'get-caller-identity', '--output', 'json', '--endpoint-url', at.world.stsUrl],
      // 2.9 knows neither the token file nor 169.254.170.23.
      way === 'container' ? relativeEnv(at) : podEnv(at, way),
    ),
}

const boto3: Client = {
  name: 'boto3',
  needs: ['/usr/bin/python3', '/usr/lib/python3/dist-packages/boto3'],
  ways: { v1: onlyV2, container: true },
  version: (at) => firstLine(at, ['/usr/bin/python3', '-c', 'import boto3; print(boto3.__version__)']),
  callerArn: (at, way) =>
    identity(
      at,
      ['/usr/bin/python3', script('boto3_client.py')],
      way === 'container' ? relativeEnv(at) : podEnv(at, way),
    ),
}

const sdkJsV3: Client = {
  name: 'AWS SDK for JavaScript v3',
  needs: [],
  ways: { v1: onlyV2, container: true },
  version: (at) => packageVersion(at, '@aws-sdk/client-sts'),
  callerArn: (at, way) => identity(at, [process.execPath, script('sdk-v3.ts')], podEnv(at, way)),
}

const sdkJsV2: Client = {
  name: 'AWS SDK for JavaScript v2',
  needs: [],
  ways: { v1: onlyV2, container: true },
  version: (at) => packageVersion(at, 'aws-sdk'),
  callerArn: (at, way) => identity(at, [process.execPath, script('sdk-v2.cjs')], podEnv(at, way)),
}

const ruby: Client = {
  name: 'AWS SDK for Ruby',
  needs: ['ruby', '/usr/share/rubygems-integration/all/specifications/aws-sdk-core-3.168.1.gemspec'],
  ways: { v1: onlyV2, container: 'this version sends no Authorization' },
  version: (at) => firstLine(at, ['ruby', '-e', "require 'aws-sdk-core'; puts Aws::CORE_GEM_VERSION"]),
  callerArn: (at, way) => identity(at, ['ruby', script('aws_sdk.rb')], podEnv(at, way)),
}

const rclone: Client = {
  name: 'rclone (AWS SDK for Go v1)',
  needs: ['rclone'],
  ways: { v1: onlyV2, container: true },
  version: async (at) => /v([\d.]+)/.exec(await firstLine(at, ['rclone', 'version']))?.[1] ?? '',
  async callerArn(at, way) {
    const options = `provider=Other,env_auth=true,region=${at.world.region},force_path_style=true,endpoint="${at.world.s3Url}"`
    const argv = ['rclone', 'cat', '--retries', '1', `:s3,${options}:${S3_BUCKET}/${S3_OBJECT}`]
    return s3Caller(at, 'rclone', () =>
      at.pod.mustRun(argv, { env: way === 'container' ? relativeEnv(at) : podEnv(at, way) }),
    )
  },
}

const s3fs: Client = {
  name: 's3fs',
  needs: ['s3fs', '/dev/fuse'],
  ways: { v1: true, container: 'sends no Authorization' },
  version: async (at) => /V\S+/.exec(await firstLine(at, ['s3fs', '--version']))?.[0].slice(1) ?? '',
  callerArn(at, way) {
    const env = podEnv(at, way)
    const mountPoint = join(env['HOME'] ?? '', 'mnt')
    mkdirSync(mountPoint)
    const options = [
      // To find its role out, 1.90 asks without a token; told the role, it asks for a token first.
      `iam_role=${way === 'required' ? 'reader' : 'auto'}`,
      `url=${at.world.s3Url}`,
      `endpoint=${at.world.region}`,
      'use_path_request_style',
      'retries=1',
      ...(way === 'v1' ? ['imdsv1only'] : []),
    ].join(',')
    // `ip netns exec` gives the shell a mount namespace of its own, so the mount is seen, and goes, with it.
    const shell = `s3fs ${S3_BUCKET} ${mountPoint} -f -o ${options} & pid=$!
      for i in $(seq 100); do grep -q ${mountPoint} /proc/mounts && break; kill -0 $pid || exit 1; sleep 0.1; done
      cat ${mountPoint}/${S3_OBJECT}; status=$?; umount ${mountPoint}; wait $pid; exit $status`
    return s3Caller(at, 's3fs', () => at.pod.mustRun(['sh', '-c', shell], { env }))
  },
}

const curl: Client = {
  name: 'curl',
  needs: ['curl'],
  ways: { v1: true, container: true },
  version: async (at) => /^curl (\S+)/.exec(await firstLine(at, ['curl', '--version']))?.[1] ?? '',
  async callerArn(at, way) {
    const document = JSON.parse(await curlCredentials(at, way)) as Record<string, string>
    const sign = ['--aws-sigv4', `aws:amz:${at.world.region}:sts`]
    const user = ['--user', `${document['AccessKeyId']}:${document['SecretAccessKey']}`]
    const token = ['-H', `x-amz-security-token: ${document['Token']}`]
    const query = ['--data', 'Action=GetCallerIdentity&Version=2011-06-15', `${at.world.stsUrl}/`]
    const curlTo = ['curl', '-sS', '--fail-with-body', '--max-time', '5']
    const signed = [...curlTo, ...sign, ...user, ...token, ...query]
    const answer = await at.pod.mustRun(signed, { env: {} })
    return /<Arn>([^<]+)<\/Arn>/.exec(answer)?.[1] ?? Promise.reject(new Error(answer))
  },
}

const METADATA = 'http://169.254.169.254'
const ROLES = `${METADATA}/latest/meta-data/iam/security-credentials/`

/** A token for the metadata service, as a shell script gets it. */
export async function curlToken(pod: Pod): Promise<string> {
  const header = ['-H', 'X-aws-ec2-metadata-token-ttl-seconds: 60']
  return pod.mustRun([
    'curl',
    '-sS',
    '--fail',
    '--max-time',
    '5',
    '-X',
    'PUT',
    ...header,
    `${METADATA}/latest/api/token`,
  ])
}

/** What a shell script does: the role list, then the document; with a token first unless it is to be v1. */
export async function curlCredentials(at: Place, way: Way): Promise<string> {
  const get = ['curl', '-sS', '--fail', '--max-time', '5']
  if (way === 'container') {
    return at.pod.mustRun([
      ...get,
      '-H',
      `Authorization: ${at.token}`,
      'http://169.254.170.23/v1/credentials',
    ])
  }
  const token = way === 'v1' ? undefined : await curlToken(at.pod)
  const header = token === undefined ? [] : ['-H', `X-aws-ec2-metadata-token: ${token}`]
  const role = await at.pod.mustRun([...get, ...header, ROLES])
  return at.pod.mustRun([...get, ...header, ROLES + role])
}

/** The ARN that the S3-shaped endpoint saw while `use` ran; every one of its calls must have been accepted. */
async function s3Caller(at: Place, agent: string, use: () => Promise<string>): Promise<string> {
  const before = (await at.world.s3Calls()).length
  const text = await use()
  if (!text.includes('hello')) throw new Error(`${agent} did not read the object: ${text}`)
  const calls = (await at.world.s3Calls()).slice(before)
  const arns = new Set(calls.map((call) => call.callerArn))
  const [arn] = arns
  if (arns.size !== 1 || arn === undefined) throw new Error(`${agent}: ${JSON.stringify(calls)}`)
  return arn
}

async function packageVersion(at: Place, name: string): Promise<string> {
  const read = `process.stdout.write(require('${name}/package.json').version)`
  return at.pod.mustRun([process.execPath, '-e', read], { cwd: new URL('../..', import.meta.url).pathname })
}

export const CLIENTS: readonly Client[] = [awsCli, boto3, sdkJsV3, sdkJsV2, ruby, s3fs, rclone, curl]
