"""S3 and what speaks its protocol: from a bucket's name and credentials to an opened storage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.errors import EnvironmentWrong
from runner.schemes import S3

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from obstore.store import ClientConfig, RetryConfig

    from runner.backends.aws.config import AwsConfig
    from runner.backends.aws.credentials import AwsAccess
    from runner.backends.listing_pages import Ask, Dialect
    from runner.backends.object_store import ObjectStorage
    from runner.secrets.named import Credentials

# What obstore itself reads from the environment and runner has no opinion on; named here so that a mapping which is
# not this process's environment works the same. https://developmentseed.org/obstore/latest/api/store/aws/
_OBSTORE_SETTINGS = {
    "AWS_SERVER_SIDE_ENCRYPTION": "server_side_encryption",
    "AWS_SSE_KMS_KEY_ID": "sse_kms_key_id",
    "AWS_SSE_BUCKET_KEY_ENABLED": "sse_bucket_key_enabled",
    "AWS_SSE_CUSTOMER_KEY_BASE64": "sse_customer_key_base64",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "virtual_hosted_style_request",
    "AWS_REQUEST_PAYER": "request_payer",
    "AWS_CHECKSUM_ALGORITHM": "checksum_algorithm",
    "AWS_DISABLE_BULK_DELETE": "disable_bulk_delete",
}


def open_s3(
    bucket: str, credentials: Credentials, environ: Mapping[str, str], patience: float | None = None
) -> ObjectStorage:
    """Open a bucket.

    Credentials: the secret ``AWS_CREDENTIALS``, else what boto3 would find; see `runner.backends.aws.credentials`.
    Needs s3:GetObject, s3:PutObject and s3:ListBucket. Raises CredentialsRefused and EnvironmentWrong.
    """
    if bucket.startswith("arn:"):
        message = f"{bucket!r} is an ARN, and a location begins with a bucket's name or an access point's alias"
        hint = "Take the alias, which ends in -s3alias: aws s3control get-access-point shows it."
        raise EnvironmentWrong(message, hint=hint)
    from obstore.store import S3Store

    from runner.backends.aws.config import read_config
    from runner.backends.aws.credentials import find_aws
    from runner.backends.aws.errors import refusal
    from runner.backends.connection import Connection
    from runner.backends.credential_sources import check_variables
    from runner.backends.object_store import NO_RETRIES, ObjectStorage

    check_variables(S3, environ)
    settings = read_config(environ)
    endpoint = settings.endpoint("s3")
    passed_on = {name: environ[variable] for variable, name in _OBSTORE_SETTINGS.items() if variable in environ}
    if "virtual_hosted_style_request" not in passed_on and settings.s3.get("addressing_style") == "virtual":
        passed_on["virtual_hosted_style_request"] = "true"
        scheme, separator, host = (endpoint or "").partition("://")
        given = f"{scheme}{separator}{bucket}.{host}" if host else None  # obstore wants the bucket in it
    else:
        given = endpoint

    def connecting(access: AwsAccess) -> Connection:
        def connect(
            region: str,
            options: ClientConfig,
            retries: RetryConfig,
            replaced: Mapping[str, str] | None = None,
        ) -> S3Store:
            # obstore reads the process's own environment first, and sends a stray AWS_SESSION_TOKEN with whatever keys
            # it is given: what must win is named here, and the keys come by a function
            config: Any = {  # which of obstore's settings are among them is known when it runs
                **passed_on,
                **access.config,
                "region": region,
                "aws_endpoint_url_s3": given or _endpoint(bucket, region, passed_on, settings),
                "conditional_put": "etag",
                **(replaced or {}),
            }
            return S3Store(
                bucket, config=config, client_options=options, retry_config=retries, credential_provider=access.provider
            )

        def pages(region: str) -> tuple[Dialect, Ask]:
            from datetime import timedelta
            from urllib.parse import quote, urlencode

            import obstore

            from runner.backends.aws.listing import S3_PAGES

            address = given or _endpoint(bucket, region, passed_on, settings)
            address = address if _is_virtual(passed_on) else f"{address}/{bucket}"

            def ask(query: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
                # obstore signs addresses of objects alone, and «» is none to it: the query is taken for a part of the
                # endpoint, and the slash after it for the value of a name of which S3 takes no notice
                replaced = {
                    "aws_endpoint_url_s3": f"{address}?{urlencode(query, quote_via=quote)}&x-end=",
                    "virtual_hosted_style_request": "true",
                }
                store = connect(region, {"allow_http": True}, NO_RETRIES, replaced)
                return obstore.sign(store, "GET", "", timedelta(minutes=15)), {}

            return S3_PAGES, ask

        return Connection(connect, pages)

    def relocated(reason: str) -> str | None:
        return _region_in(reason) or _look_up_region(bucket, endpoint, environ, min(5.0, patience or 5.0))

    access = find_aws(bucket, credentials, settings)
    return ObjectStorage(
        S3.scheme,
        bucket,
        connecting(access),
        refusal,
        patience=patience,
        credential_source=access.source,
        certificates=environ.get("AWS_CA_BUNDLE") or environ.get("SSL_CERT_FILE"),
        place=settings.region,
        relocated=relocated,
        renew=lambda: connecting(find_aws(bucket, credentials, read_config(environ))),
    )


def _endpoint(bucket: str, region: str, passed_on: Mapping[str, str], settings: AwsConfig) -> str:
    """Return AWS's own endpoint. https://docs.aws.amazon.com/general/latest/gr/s3.html."""
    dual = settings.is_on("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")
    dual = dual or str(settings.s3.get("use_dualstack_endpoint", "")).lower() == "true"
    service = "s3-fips" if settings.is_on("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint") else "s3"
    domain = f"{service}.{'dualstack.' if dual else ''}{region}.amazonaws.com"
    domain += ".cn" if region.startswith("cn-") else ""
    return f"https://{bucket}.{domain}" if _is_virtual(passed_on) else f"https://{domain}"


def _is_virtual(passed_on: Mapping[str, str]) -> bool:
    """Return whether the bucket's name stands in the host's."""
    return passed_on.get("virtual_hosted_style_request", "").lower() in {"1", "true", "on", "yes", "y"}


def _region_in(reason: str) -> str | None:
    """Return the region in an answer like ``<Code>AuthorizationHeaderMalformed</Code>…<Region>eu-west-1</Region>``."""
    found = re.search(r"<Region>([a-z0-9-]+)</Region>", reason)
    return found[1] if found else None


def _look_up_region(bucket: str, endpoint: str | None, environ: Mapping[str, str], timeout: float) -> str | None:
    """Return the region of a bucket, which S3 puts into a header of any answer, also to an unsigned request.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
    """
    import ssl
    import urllib.error
    import urllib.request

    bundle = environ.get("AWS_CA_BUNDLE") or environ.get("SSL_CERT_FILE")
    context = ssl.create_default_context(cafile=bundle)
    url = f"{endpoint or 'https://s3.amazonaws.com'}/{bucket}"
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the scheme is the user's own endpoint's
    try:
        with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:  # noqa: S310 - as above
            headers = answer.headers
    except urllib.error.HTTPError as error:
        headers = error.headers
    except OSError:
        return None
    region: str | None = headers.get("x-amz-bucket-region")
    return region
