"""The lifecycle rules in docs/pruning.md are taken, and match nothing that must not go."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from runner.location import parse_location
from runner.runs.layout import RunLayout
from support.places import gcs_place, s3_place

if TYPE_CHECKING:
    from support.servers import Server

PAGE = Path(__file__).parents[2] / "docs/pruning.md"
BLOCKS = re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
S3, GOOGLE, AZURE = map(json.loads, BLOCKS)
PRECIOUS = [
    *("etl/latest.json", "etl/aliases/prod.json", "etl/2026-11-22t12-10-24-845190-00-00", "_queue/ring"),
    "_agents/a/agent.json",
]


def are_of_runs(prefixes: list[str], container: str = "") -> bool:
    """Whether what expires by these is of runs alone."""
    run = f"{container}{RunLayout('etl', 'r').outcome}"
    keys = [f"{container}{key}" for key in PRECIOUS]
    return run.startswith(tuple(prefixes)) and not any(key.startswith(tuple(prefixes)) for key in keys)


def test_s3_takes_the_rules(moto: Server) -> None:
    place = s3_place(moto)
    client: Any = boto3.client(
        "s3",
        endpoint_url=moto.url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    bucket = parse_location(place.url).container
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=S3)
    assert client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == S3["Rules"]
    assert are_of_runs([rule["Filter"]["Prefix"] for rule in S3["Rules"] if "Expiration" in rule])


def test_googles_storage_takes_the_rules(gcs_emulator: Server) -> None:
    place = gcs_place(gcs_emulator)
    anonymous: Any = AnonymousCredentials
    options = {"api_endpoint": gcs_emulator.url}
    client = storage.Client(project="test", credentials=anonymous(), client_options=options)
    bucket = client.bucket(parse_location(place.url).container)
    bucket.lifecycle_rules = GOOGLE["rule"]
    bucket.patch()
    assert [dict(rule) for rule in bucket.lifecycle_rules] == GOOGLE["rule"]
    expiring = [rule["condition"] for rule in GOOGLE["rule"] if rule["action"]["type"] == "Delete"]
    live = [condition for condition in expiring if condition.get("isLive") is not False]
    assert are_of_runs([prefix for condition in live for prefix in condition["matchesPrefix"]])
    suffixes = tuple(suffix for condition in live for suffix in condition["matchesSuffix"])
    assert RunLayout("etl", "r").result(1, "clean", None).endswith(suffixes)
    assert not RunLayout("etl", "r").outcome.endswith(suffixes)


def test_azures_policy_is_of_the_form_that_it_has() -> None:
    """https://learn.microsoft.com/azure/storage/blobs/lifecycle-management-policy-structure"""
    for rule in AZURE["rules"]:
        assert set(rule) == {"enabled", "name", "type", "definition"}
        assert re.fullmatch(r"[A-Za-z0-9-]{1,256}", rule["name"])
        assert set(rule["definition"]) == {"actions", "filters"}
        assert rule["definition"]["filters"]["blobTypes"] == ["blockBlob"]
    expiring = [rule["definition"] for rule in AZURE["rules"] if "baseBlob" in rule["definition"]["actions"]]
    assert are_of_runs([prefix for each in expiring for prefix in each["filters"]["prefixMatch"]], "my-flows/")
