export type { AwsTokenService, AwsTokenServiceOptions, ProxySettings } from './lib/aws-token-service.ts'
export { createAwsTokenService } from './lib/aws-token-service.ts'
export type { NodeCredentials, NodeCredentialsProvider } from './lib/node-credentials.ts'
export { staticNodeCredentials } from './lib/node-credentials.ts'
