"""S3 and what speaks like it: from a bucket's name and credentials to a store."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.errors import CredentialsRefused
from runner.storage.declared import DeclaredBucket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.credentials import Credentials
    from runner.storage.objects import ObjectStorage

# What obstore itself reads from the environment and runner has no opinion on; named here so that a mapping which is
# not this process's environment works the same. https://developmentseed.org/obstore/latest/api/store/aws/
_PASSED_ON = {
    "AWS_SERVER_SIDE_ENCRYPTION": "server_side_encryption",
    "AWS_SSE_KMS_KEY_ID": "sse_kms_key_id",
    "AWS_SSE_BUCKET_KEY_ENABLED": "sse_bucket_key_enabled",
    "AWS_SSE_CUSTOMER_KEY_BASE64": "sse_customer_key_base64",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "virtual_hosted_style_request",
    "AWS_REQUEST_PAYER": "request_payer",
    "AWS_CHECKSUM_ALGORITHM": "checksum_algorithm",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT": "metadata_endpoint",
}


class S3(DeclaredBucket):
    """A bucket of Amazon S3, or of anything that speaks its protocol (``AWS_ENDPOINT_URL``)."""

    scheme = "s3"
    label = "s3-flow-storage"


def open_s3(bucket: str, credentials: Credentials, environ: Mapping[str, str]) -> ObjectStorage:
    """Open a bucket.

    Credentials: the secret ``AWS_CREDENTIALS``, else ``AWS_ACCESS_KEY_ID`` and its companions, else the profile of
    the shared credentials file, else what the machine or pod offers (web identity, container, instance metadata).
    Needs s3:GetObject, s3:PutObject and s3:ListBucket. Raises CredentialsRefused.
    """
    from obstore.store import S3Store

    from runner.storage.objects import ObjectStorage

    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    passed_on = {name: environ[variable] for variable, name in _PASSED_ON.items() if variable in environ}
    keys = _keys(credentials, environ)
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"

    def connect(region: str, options: dict[str, object], retries: dict[str, object]) -> object:
        # obstore reads the process's own environment first, and sends a stray AWS_SESSION_TOKEN with whatever keys it
        # is given: what must win is named here, and the keys come by a function
        config = passed_on | {
            "region": region,
            "aws_endpoint_url_s3": endpoint or _endpoint(bucket, region, passed_on),
            "conditional_put": "etag",
        }
        provider = (lambda: keys | {"expires_at": None}) if keys else None
        return S3Store(
            bucket,
            config=config,  # type: ignore[arg-type]
            client_options=options,  # type: ignore[arg-type]
            retry_config=retries,  # type: ignore[arg-type]
            credential_provider=provider,  # type: ignore[arg-type]
        )

    def relocated(reason: str) -> str | None:
        return _told_region(reason) or _asked_region(bucket, endpoint, environ)

    return ObjectStorage("s3", bucket, connect, environ, place=region, relocated=relocated)


def _endpoint(bucket: str, region: str, passed_on: Mapping[str, str]) -> str:
    """Give AWS's own endpoint. https://docs.aws.amazon.com/general/latest/gr/s3.html."""
    domain = f"s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
    virtual = passed_on.get("virtual_hosted_style_request", "").lower() in {"1", "true", "on", "yes", "y"}
    return f"https://{bucket}.{domain}" if virtual else f"https://{domain}"


def _keys(credentials: Credentials, environ: Mapping[str, str]) -> dict[str, str]:
    """Give the keys to sign with; none leaves it to the machine's or pod's own chain, which obstore knows."""
    if secret := credentials.aws():
        return _named(secret.get("ACCESS_KEY"), secret.get("SECRET_ACCESS_KEY"), secret.get("SESSION_TOKEN"))
    if environ.get("AWS_ACCESS_KEY_ID"):
        if not environ.get("AWS_SECRET_ACCESS_KEY"):
            message = "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not"
            raise CredentialsRefused(message, hint="Set both, or neither.")
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return _named(*(environ.get(name) for name in names))
    keys = _profile(environ)
    if not keys and "AWS_ACCESS_KEY_ID" in environ:  # obstore would sign with it, and S3 refuse that as any wrong key
        message = "AWS_ACCESS_KEY_ID is set, and empty"
        raise CredentialsRefused(message, hint="Unset it, or give it its value.")
    return keys


def _named(key: str | None, secret: str | None, token: str | None) -> dict[str, str]:
    keys = {"access_key_id": key, "secret_access_key": secret, "token": token}
    return {name: value for name, value in keys.items() if value}


def _profile(environ: Mapping[str, str]) -> dict[str, str]:
    """Give the keys that stand in the shared credentials file; a profile that is asked for must be there."""
    from configparser import ConfigParser, Error
    from contextlib import suppress
    from pathlib import Path

    path = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials")
    with suppress(RuntimeError):  # no HOME, and a user whom the system does not know: so there is no such file
        path = path.expanduser()
    profile = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    file = ConfigParser(interpolation=None)
    try:
        file.read(path, "utf-8")
    except (Error, OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read as an AWS credentials file"
        raise CredentialsRefused(
            message, hint="Mend it, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from error
    values = file[profile or "default"] if file.has_section(profile or "default") else {}
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    if all(values.get(name) for name in names[:2]):
        return _named(*(values.get(name) for name in names))
    if profile:
        message = f"AWS_PROFILE is {profile!r}, and {path} has no keys for a profile of that name"
        raise CredentialsRefused(message, hint="Correct the name, or mount the file into the container.")
    return {}


def _told_region(reason: str) -> str | None:
    """Find the region in an answer such as ``<Code>AuthorizationHeaderMalformed</Code>…<Region>eu-west-1</Region>``."""
    found = re.search(r"<Region>([a-z0-9-]+)</Region>", reason)
    return found[1] if found else None


def _asked_region(bucket: str, endpoint: str | None, environ: Mapping[str, str]) -> str | None:
    """Ask S3, unsigned, where a bucket lies; the answer bears it in a header whatever its status is.

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
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:  # noqa: S310
            headers = answer.headers
    except urllib.error.HTTPError as error:
        headers = error.headers
    except OSError:
        return None
    region: str | None = headers.get("x-amz-bucket-region")
    return region
