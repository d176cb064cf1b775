// Run inside a pod: AWS SDK for JavaScript v3 with its default credential chain, as an application has it.
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'

const sts = new STSClient({})
process.stdout.write(JSON.stringify(await sts.send(new GetCallerIdentityCommand({}))))
