"""AWS credentials from boto3, where neither runner nor obstore can find them as it does."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from runner.backends.errors import first_line
from runner.errors import CredentialsRefused, EnvironmentWrong
from runner.images import image_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore.store import S3Credential

    from runner.backends.aws.config import AwsConfig

# obstore asks again when less than 5 minutes are left; whether to fetch new ones is then for boto3 to know.
_VALIDITY = timedelta(minutes=5, seconds=10)
_NEVER = datetime.max.replace(tzinfo=UTC)
_CLOCK = ("Signature expired", "Signature not yet current", "RequestExpired", "RequestTimeTooSkewed")
_PROCESS_ENVIRONMENT_LOCK = threading.RLock()  # boto3 reads the process's environment, which one thread changes


class Boto3Provider:
    """A credential provider for obstore, with the keys that boto3 finds, and renews when they expire.

    ``method`` is boto3's own word for where it found something, empty if it found nothing.

    Raises:
        EnvironmentWrong: if boto3 is not installed.
        CredentialsRefused: with what boto3 says.
    """

    def __init__(self, config: AwsConfig) -> None:
        try:
            import botocore.session
            from botocore.credentials import RefreshableCredentials
        except ImportError as error:
            message = "boto3 is needed for these AWS credentials, and is not installed"
            hint = f"Use {image_of('aws')}, or pip install 'flow-runner[aws]'."
            raise EnvironmentWrong(message, hint=hint) from error
        self._config = config
        with self._errors():
            self._credentials: Any = botocore.session.Session().get_credentials()
            self._renewed = isinstance(self._credentials, RefreshableCredentials)
        self.method = self._credentials.method if self._credentials else ""
        if self._credentials:
            self()  # boto3 puts off most of what can fail until it must

    def __call__(self) -> S3Credential:
        """Return the keys as obstore's ``S3CredentialProvider``. Raises CredentialsRefused."""
        with self._errors():
            keys = self._credentials.get_frozen_credentials()
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": min(datetime.now(UTC) + _VALIDITY, self.expires_at() or _NEVER) if self._renewed else None,
        }

    def expires_at(self) -> datetime | None:
        """Return when the keys expire."""
        found: datetime | None = getattr(self._credentials, "_expiry_time", None)  # botocore has no public word for it
        return found and found.astimezone(UTC)  # obstore takes no other zone

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise CredentialsRefused for whatever boto3 raises."""
        try:
            with _as_the_process(self._config):
                yield
        except Exception as error:
            text = first_line(f"{type(error).__name__}: {error}")
            hint = "Try it with: aws sts get-caller-identity"
            if any(word in text for word in _CLOCK):
                hint = "Check the clock of this machine."
            message = f"boto3 finds no AWS credentials that can be used: {text}"
            raise CredentialsRefused(message, hint=hint) from error


@contextmanager
def _as_the_process(config: AwsConfig) -> Iterator[None]:
    """Replace the process's environment, which boto3 reads, by runner's for as long as the block lasts.

    They are the same but for secrets that came by a file, and for ``AWS_REGION``, which boto3 does not know; so this
    changes next to nothing, and puts it back.
    """
    import os

    process = os.environ  # noqa: TID251 - boto3 takes no other
    wanted = {name: text for name, text in config.environ.items() if name.startswith(("AWS_", "BOTO_"))}
    wanted.setdefault("AWS_DEFAULT_REGION", config.region)
    with _PROCESS_ENVIRONMENT_LOCK:
        before = {name: text for name, text in process.items() if name.startswith(("AWS_", "BOTO_"))}
        _change(process, before, wanted)
        try:
            yield
        finally:
            _change(process, wanted, before)


def _change(process: Any, before: dict[str, str], after: dict[str, str]) -> None:
    for name in before.keys() - after.keys():
        del process[name]
    for name, text in after.items():
        if before.get(name) != text:
            process[name] = text
