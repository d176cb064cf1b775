# Run inside a pod: the AWS SDK for Ruby with its default credential chain.
require 'aws-sdk-core'
require 'json'

sts = Aws::STS::Client.new(endpoint: ENV['AWS_ENDPOINT_URL_STS'], region: ENV['AWS_REGION'])
puts JSON.generate(sts.get_caller_identity.to_h)
