// Loaded on first use only: the SDK costs megabytes and a tenth of a second. Naming just these lets a bundler drop
// the rest of it.
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { NodeHttpHandler } from '@smithy/node-http-handler'

export { AssumeRoleCommand, GetCallerIdentityCommand, NodeHttpHandler, STSClient }
