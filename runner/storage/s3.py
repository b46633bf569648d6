"""S3 and what speaks like it: from a bucket's name and credentials to a store."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.errors import CredentialsRefused
from runner.storage.declared import Declared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
}


class S3(Declared):
    """A bucket of Amazon S3, or of anything that speaks its protocol (``AWS_ENDPOINT_URL``)."""

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        key: str | None = None,
        secrets: Sequence[str] = (),
        labels: Sequence[str] = (),
        add_default_labels: bool = True,
    ) -> None:
        """Take the bucket and a prefix below which everything lies. See `Declared` for the rest."""
        super().__init__(key=key, secrets=secrets, labels=labels, add_default_labels=add_default_labels)
        self.bucket = bucket
        self.prefix = prefix.strip("/")

    @property
    def url(self) -> str:
        """See `Declared.url`."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def default_labels(self) -> tuple[str, ...]:
        """See `Declared.default_labels`."""
        return ("s3-flow-storage",)


def open_s3(bucket: str, credentials: Credentials, environ: Mapping[str, str]) -> ObjectStorage:
    """Open a bucket.

    Credentials: the secret ``AWS_CREDENTIALS``, else ``AWS_ACCESS_KEY_ID`` and its companions, else the profile of
    the shared credentials file, else what the machine or pod offers (web identity, container, instance metadata).
    Needs s3:GetObject, s3:PutObject and s3:ListBucket. Raises CredentialsRefused.
    """
    from obstore.store import S3Store

    from runner.storage.objects import ObjectStorage

    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    config: dict[str, str] = {name: environ[variable] for variable, name in _PASSED_ON.items() if variable in environ}
    config |= _keys(credentials, environ)
    if endpoint:
        config["endpoint"] = endpoint
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"

    def connect(region: str, options: dict[str, object], retries: dict[str, object]) -> object:
        return S3Store(bucket, config=config | {"region": region}, client_options=options, retry_config=retries)  # type: ignore[arg-type]

    def relocated(reason: str) -> str | None:
        return _told_region(reason) or _asked_region(bucket, endpoint, environ)

    return ObjectStorage("s3", bucket, connect, environ, place=region, relocated=relocated)


def _keys(credentials: Credentials, environ: Mapping[str, str]) -> dict[str, str]:
    """Give the keys to sign with; none leaves it to the machine's or pod's own chain, which obstore knows."""
    if secret := credentials.aws():
        return _named(secret.get("ACCESS_KEY"), secret.get("SECRET_ACCESS_KEY"), secret.get("SESSION_TOKEN"))
    if environ.get("AWS_ACCESS_KEY_ID"):
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return _named(*(environ.get(name) for name in names))
    return _profile(environ)


def _named(key: str | None, secret: str | None, token: str | None) -> dict[str, str]:
    keys = {"access_key_id": key, "secret_access_key": secret, "token": token}
    return {name: value for name, value in keys.items() if value}


def _profile(environ: Mapping[str, str]) -> dict[str, str]:
    """Give the keys that stand in the shared credentials file; a profile that is asked for must be there."""
    from configparser import ConfigParser, Error
    from pathlib import Path

    path = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    asked = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    file = ConfigParser(interpolation=None)
    try:
        file.read(path)
    except (Error, UnicodeDecodeError) as error:
        message = f"{path} cannot be parsed as an AWS credentials file"
        raise CredentialsRefused(
            message, hint="Mend it, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from error
    profile = asked or "default"
    if file.has_section(profile) and "aws_access_key_id" in file[profile]:
        values = file[profile]
        return _named(*(values.get(f"aws_{name}") for name in ("access_key_id", "secret_access_key", "session_token")))
    if asked:
        message = f"AWS_PROFILE is {asked!r}, and {path} has no keys for a profile of that name"
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
