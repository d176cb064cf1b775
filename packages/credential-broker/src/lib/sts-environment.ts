import type { ProxySettings } from './sts-connection.ts'

/** What the standard variables say about how STS is reached. */
export interface StsEnvironment {
  readonly region: string | undefined
  readonly endpoint: string | undefined
  readonly fips: boolean
  readonly dualStack: boolean
  /** `AWS_STS_REGIONAL_ENDPOINTS=legacy`: the global endpoint although a region is known. */
  readonly global: boolean
  readonly proxy: ProxySettings | undefined
  /** A file of PEM certificates. */
  readonly caFile: string | undefined
}

/** Reads the variables that the AWS SDKs and curl share; an empty one is as good as none. */
export function readStsEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): StsEnvironment {
  const read = (...names: readonly string[]): string | undefined =>
    names.map((name) => environment[name]).find((value) => value !== undefined && value !== '')
  const isTrue = (name: string): boolean => read(name)?.toLowerCase() === 'true'
  const proxy = {
    http: read('http_proxy', 'HTTP_PROXY'),
    https: read('https_proxy', 'HTTPS_PROXY'),
    none: read('no_proxy', 'NO_PROXY'),
  }
  return {
    region: read('AWS_REGION', 'AWS_DEFAULT_REGION'),
    endpoint: isTrue('AWS_IGNORE_CONFIGURED_ENDPOINT_URLS')
      ? undefined
      : read('AWS_ENDPOINT_URL_STS', 'AWS_ENDPOINT_URL'),
    fips: isTrue('AWS_USE_FIPS_ENDPOINT'),
    dualStack: isTrue('AWS_USE_DUALSTACK_ENDPOINT'),
    global: read('AWS_STS_REGIONAL_ENDPOINTS')?.toLowerCase() === 'legacy',
    proxy: proxy.http === undefined && proxy.https === undefined ? undefined : proxy,
    caFile: read('AWS_CA_BUNDLE'),
  }
}
