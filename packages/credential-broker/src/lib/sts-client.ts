// Loaded on first use only: the SDK costs about 10 MB and 100 ms. Naming just these lets a bundler drop the rest.
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts'
import { NodeHttpHandler } from '@smithy/node-http-handler'

export { AssumeRoleCommand, NodeHttpHandler, STSClient }
