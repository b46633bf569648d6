"""Store a flow of `store.py` as a raw cloudpickle, as Prefect 0.x did before the envelope; print its key.

Run like `store.py`, with the same arguments. The envelope came of https://github.com/PrefectHQ/prefect/issues/3457.
"""

import os

import boto3
import cloudpickle
import store

if __name__ == "__main__":
    arguments = store.parse_arguments()
    cloudpickle.register_pickle_by_value(store)  # as if it were __main__: its reader has no module of that name
    body = cloudpickle.dumps(store.FLOWS[arguments.kind]())
    s3 = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    s3.put_object(Bucket=arguments.bucket, Key=arguments.key, Body=body)
    print(arguments.key)
