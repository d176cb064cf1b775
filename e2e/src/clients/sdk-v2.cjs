// Run inside a pod: AWS SDK for JavaScript v2 with its default credential chain.
process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = '1'
const AWS = require('aws-sdk')

const sts = new AWS.STS({ endpoint: process.env.AWS_ENDPOINT_URL_STS, region: process.env.AWS_REGION })
void sts
  .getCallerIdentity()
  .promise()
  .then((identity) => process.stdout.write(JSON.stringify(identity)))
