"""Run by `cloud.Cloud.ask`: lets the cloud's own SDK and runner read one object each, as the environment has it.

With ``runner-`` before the cloud's name, runner alone is tried.
"""

from __future__ import annotations

import json
import os
import sys
import warnings

from runner import errors
from runner.backends import open_storage
from runner.location import parse_location
from runner.secrets.named import resolve


def runner(url: str) -> dict[str, str]:
    environ = dict(os.environ)
    try:
        storage = open_storage(parse_location(url), resolve([], environ), environ)
        try:
            storage.read("runner")
        except errors.NotFound:
            return {
                "outcome": "opened",
                "source": storage.credential_source.source.name if storage.credential_source else "",
            }
    except errors.Unreachable as error:
        return {"outcome": "unreachable", "text": str(error)}
    except (errors.CredentialsRefused, errors.EnvironmentWrong) as error:
        return {"outcome": "refused", "text": str(error)}
    raise AssertionError("there is no such object")


def azure() -> dict[str, str]:
    from azure.core.exceptions import AzureError, ServiceRequestError
    from azure.identity import DefaultAzureCredential
    from azure.storage.blob import BlobServiceClient

    account = os.environ.get("AZURE_STORAGE_ACCOUNT", "")
    url = os.environ.get("REFEREES_URL", f"https://{account}.blob.core.windows.net")
    key, sas = os.environ.get("AZURE_STORAGE_KEY"), os.environ.get("AZURE_STORAGE_SAS_TOKEN")
    try:
        if text := os.environ.get("AZURE_STORAGE_CONNECTION_STRING"):
            client = BlobServiceClient.from_connection_string(text, retry_total=0)
        elif key or sas:
            named = {"account_name": account, "account_key": key} if key else sas
            client = BlobServiceClient(url, credential=named, retry_total=0)
        else:
            client = BlobServiceClient(url, credential=DefaultAzureCredential(retry_total=0), retry_total=0)
        found = client.get_blob_client("b", "sdk").exists()
    except ServiceRequestError as error:
        return {"outcome": "unreachable", "text": str(error)}
    except (AzureError, ValueError, OSError) as error:
        return {"outcome": "refused", "text": str(error)}
    assert not found
    return {"outcome": "opened"}


def gcs() -> dict[str, str]:
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import storage

    try:
        found = storage.Client(project="none").bucket("b").blob("sdk").exists(retry=None, timeout=5)
    except (GoogleAuthError, ValueError, TypeError, AttributeError, OSError) as error:
        return {"outcome": "refused", "text": repr(error)}
    assert not found
    return {"outcome": "opened"}


def main() -> None:
    warnings.simplefilter("ignore")
    word = sys.argv[1].removeprefix("runner-")
    referee, url = {"azure": (azure, "azure://b"), "gcs": (gcs, "gs://b")}[word]
    print(json.dumps({"sdk": referee() if word == sys.argv[1] else {}, "runner": runner(url)}))


if __name__ == "__main__":
    main()
