"""The AWS credentials that boto3 would use, found without it wherever that gives the same answer.

The order is that of ``create_credential_resolver`` in ``botocore/credentials.py``; a named secret comes before it all.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from runner.backends.aws.sources import (
    CONFIG,
    CONTAINER,
    CONTAINER_OTHER,
    KEYS,
    LOGIN,
    METADATA,
    METADATA_1,
    OLD,
    PROCESS,
    ROLE,
    SECRET,
    SHARED,
    SSO,
    WEB,
    WEB_PROFILE,
)
from runner.backends.credential_sources import ChosenSource, Source, check_value, format_tried, without_repr
from runner.errors import CredentialsRefused, EnvironmentWrong
from runner.schemes import S3

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obstore.store import S3Credential

    from runner.backends.aws.config import AwsConfig
    from runner.secrets.named import Credentials

# By the method that boto3 says it found something with.
_METHODS = {"assume-role-with-web-identity": WEB_PROFILE, "container-role": CONTAINER_OTHER, "iam-role": METADATA_1}
# Hosts that boto3 asks without TLS. https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
_NEAR = ("http://169.254.170.2/", "http://169.254.170.23/", "http://[fd00:ec2::23]/", "http://localhost", "http://127.")
_TOKENS = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN")


@without_repr
class AwsAccess(NamedTuple):
    """What opens a bucket: ``provider`` gives the keys if there is one, else obstore finds them by ``config``."""

    source: ChosenSource
    provider: Callable[[], S3Credential] | None = None
    config: Mapping[str, str] = MappingProxyType({})


@without_repr
class _Keys(NamedTuple):
    access_key_id: str
    secret_access_key: str
    token: str | None = None
    expires: datetime | None = None

    def provide(self) -> S3Credential:
        keys: S3Credential = {
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
            "expires_at": self.expires,
        }
        return {**keys, "token": self.token} if self.token else keys

    def expires_at(self) -> datetime | None:
        return self.expires


@without_repr
class _ByObstore(NamedTuple):
    """The settings by which obstore itself finds the keys."""

    settings: dict[str, str]


class _ByBoto3(NamedTuple):
    """This is the source, or may be, and only boto3 knows how to use it; ``reason`` is why, if it finds nothing."""

    reason: str = ""


def find_aws(bucket: str, credentials: Credentials, config: AwsConfig) -> AwsAccess:
    """Find the credentials that boto3 would use. Raises CredentialsRefused and EnvironmentWrong."""
    if secret := credentials.aws():
        for name, text in secret.items():
            check_value(f"{name} of the secret AWS_CREDENTIALS", text)
        keys = _Keys(secret["ACCESS_KEY"], secret["SECRET_ACCESS_KEY"], secret.get("SESSION_TOKEN"))
        return AwsAccess(ChosenSource(SECRET), keys.provide)
    unnamed = any(name in config.environ for name in ("AWS_CREDENTIALS", "AWS_CREDENTIALS_FILE"))
    tried = [(SECRET, "AWS_CREDENTIALS is set, and RUNNER_SECRETS does not name it" if unnamed else "none named")]
    for source, look_up in _LOOKUPS:
        found = look_up(config)
        if isinstance(found, _Keys):
            return AwsAccess(ChosenSource(source, tuple(tried), found.expires_at), found.provide)
        if isinstance(found, _ByObstore):
            return AwsAccess(ChosenSource(source, tuple(tried)), config=found.settings)
        if isinstance(found, _ByBoto3):
            if access := _find_by_boto3(source, tried, config):
                return access
            found = found.reason or "boto3 finds none there"
        tried.append((source, found))
    message = f"no credentials for s3://{bucket}/ found: {format_tried(tuple(tried))}"
    raise CredentialsRefused(message, hint=S3.credentials_hint)


def _find_by_boto3(source: Source, tried: list[tuple[Source, str]], config: AwsConfig) -> AwsAccess | None:
    from runner.backends.aws.sdk import Boto3Provider

    try:
        provider = Boto3Provider(config)
    except (CredentialsRefused, EnvironmentWrong) as error:
        message = f"{source.name}: {error.message}; before it, {format_tried(tuple(tried))}"
        raise type(error)(message, hint=error.hint) from error
    if not provider.method:
        return None
    return AwsAccess(ChosenSource(_METHODS.get(provider.method, source), tuple(tried), provider.expires_at), provider)


def _environment(config: AwsConfig) -> str | _Keys:
    environ = config.environ
    if not environ.get("AWS_ACCESS_KEY_ID"):
        return f"AWS_ACCESS_KEY_ID is {'set, and empty' if 'AWS_ACCESS_KEY_ID' in environ else 'not set'}"
    if not environ.get("AWS_SECRET_ACCESS_KEY"):
        message = "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not"
        raise CredentialsRefused(message, hint="Set both, or neither.")
    token = environ.get("AWS_SECURITY_TOKEN") or environ.get("AWS_SESSION_TOKEN")
    return _Keys(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], token, _expiration(environ))


def _expiration(environ: Mapping[str, str]) -> datetime | None:
    text = environ.get("AWS_CREDENTIAL_EXPIRATION")
    if not text:
        return None
    try:
        until = datetime.fromisoformat(text).astimezone(UTC)  # obstore takes no other zone
    except ValueError as error:
        message = "AWS_CREDENTIAL_EXPIRATION is no time"
        raise CredentialsRefused(message, hint="Write it as 2026-01-31T12:00:00Z, or unset it.") from error
    if until <= datetime.now(UTC):
        message = f"the credentials in the environment expired at {text}, as AWS_CREDENTIAL_EXPIRATION says"
        raise CredentialsRefused(message, hint="Set new ones; and check the clock of this machine.")
    return until


def _role(config: AwsConfig) -> str | _ByBoto3:
    if "role_arn" in config.values and "web_identity_token_file" not in config.values:
        if "mfa_serial" in config.values:
            message = f"the profile {config.profile!r} wants an MFA code, and nobody is here to type it"
            hint = "Give the session's own keys: aws configure export-credentials --format env."
            raise CredentialsRefused(message, hint=hint)
        return _ByBoto3()
    return f"the profile {config.profile!r} has no role_arn"


def _web_identity(config: AwsConfig) -> str | _ByObstore | _ByBoto3:
    environ = config.environ
    token = environ.get("AWS_WEB_IDENTITY_TOKEN_FILE", config.values.get("web_identity_token_file"))
    if not token:
        return "AWS_WEB_IDENTITY_TOKEN_FILE is not set"
    domain = "amazonaws.com.cn" if config.region.startswith("cn-") else "amazonaws.com"
    endpoint = config.endpoint("sts") or f"https://sts.{config.region}.{domain}"
    role = environ.get("AWS_ROLE_ARN")
    # obstore asks STS by TLS alone
    if _misled(config) or not (role and environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") and endpoint.startswith("https://")):
        return _ByBoto3()
    if not _is_one_line(token):
        return _ByBoto3()
    session = environ.get("AWS_ROLE_SESSION_NAME") or config.values.get("role_session_name")
    settings = {"web_identity_token_file": token, "role_arn": role, "aws_endpoint_url_sts": endpoint}
    return _ByObstore(settings | ({"role_session_name": session} if session else {}))


def _profile_has(*names: str) -> Callable[[AwsConfig], str | _ByBoto3]:
    def look_up(config: AwsConfig) -> str | _ByBoto3:
        if any(name in config.values for name in names):
            return _ByBoto3()
        return f"the profile {config.profile!r} has no {' or '.join(names)}"

    return look_up


def _keys_of(part: str) -> Callable[[AwsConfig], str | _Keys]:
    def look_up(config: AwsConfig) -> str | _Keys:
        values = getattr(config, part)
        if "aws_access_key_id" not in values:
            return f"no keys for the profile {config.profile!r}"
        if not (values["aws_access_key_id"] and values.get("aws_secret_access_key")):
            message = f"the profile {config.profile!r} has no whole pair of aws_access_key_id and aws_secret_access_key"
            raise CredentialsRefused(message, hint="Give it both, or neither.")
        token = values.get("aws_security_token", values.get("aws_session_token"))
        for name in ("aws_access_key_id", "aws_secret_access_key"):
            check_value(f"{name} of the profile {config.profile!r}", values[name])
        check_value(f"the session token of the profile {config.profile!r}", token or "")
        return _Keys(values["aws_access_key_id"], values["aws_secret_access_key"], token)

    return look_up


def _old_files(config: AwsConfig) -> str | _ByBoto3:
    import os.path

    named = "AWS_CREDENTIAL_FILE" in config.environ or "BOTO_CONFIG" in config.environ
    if named or any(os.path.isfile(path) for path in ("/etc/boto.cfg", os.path.expanduser("~/.boto"))):  # noqa: PTH111, PTH113 - pathlib costs the start 5 ms
        return _ByBoto3()
    return "there are none"


def _container(config: AwsConfig) -> str | _ByObstore | _ByBoto3:
    environ = config.environ
    relative, full = (environ.get(f"AWS_CONTAINER_CREDENTIALS_{kind}_URI") for kind in ("RELATIVE", "FULL"))
    if relative is None and full is None:
        return "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and AWS_CONTAINER_CREDENTIALS_FULL_URI are not set"
    if _misled(config, "AWS_WEB_IDENTITY_TOKEN_FILE"):
        return _ByBoto3()
    if relative is not None:
        if relative.startswith("/") and not any(name in environ for name in _TOKENS):
            return _ByObstore({"container_credentials_relative_uri": relative})
        return _ByBoto3()
    token = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    if full and token and full.startswith(("https://", *_NEAR)) and _is_one_line(token):
        settings = {"container_credentials_full_uri": full, "container_authorization_token_file": token}
        return _ByObstore(settings)
    return _ByBoto3()


def _metadata(config: AwsConfig) -> str | _ByObstore | _ByBoto3:
    from runner.backends.aws.instance_metadata import metadata_endpoint, token_answer

    if config.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return "AWS_EC2_METADATA_DISABLED is true"
    answer, reached = token_answer(config)
    if not reached:
        return answer
    if answer == "200":
        is_native = not _misled(config, "AWS_WEB_IDENTITY_TOKEN_FILE")
        return _ByObstore({"metadata_endpoint": metadata_endpoint(config)}) if is_native else _ByBoto3()
    from importlib.util import find_spec

    return _ByBoto3(answer) if find_spec("botocore") else answer  # which asks version 1 as well


def _misled(config: AwsConfig, *more: str) -> bool:
    """Return whether obstore's own chain would take for credentials what is none to boto3: empty, or half a pair."""
    return any(name in config.environ for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", *more))


def _is_one_line(path: str) -> bool:
    """Return whether a token's file can be read and sent as it stands; where not, boto3 says what is wrong with it."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - see `_old_files`
            return not set("\r\n") & set(file.read())
    except (OSError, ValueError):
        return False


_LOOKUPS: tuple[tuple[Source, Callable[[AwsConfig], str | _Keys | _ByObstore | _ByBoto3]], ...] = (
    (KEYS, _environment),
    (ROLE, _role),
    (WEB, _web_identity),
    (SSO, _profile_has("sso_role_name", "sso_account_id")),
    (SHARED, _keys_of("shared")),
    (LOGIN, _profile_has("login_session")),
    (PROCESS, _profile_has("credential_process")),
    (CONFIG, _keys_of("own")),
    (OLD, _old_files),
    (CONTAINER, _container),
    (METADATA, _metadata),
)
