# Run inside a pod: boto3 with its default credential chain.
import json
import os

import boto3

sts = boto3.client("sts", endpoint_url=os.environ["AWS_ENDPOINT_URL_STS"], region_name=os.environ["AWS_REGION"])
print(json.dumps(sts.get_caller_identity()))
