"""What the launchers of AWS share: its clients, what its refusals mean, definitions that are made once, and logs."""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import TYPE_CHECKING, Any

from runner.environ import process_environ
from runner.errors import CredentialsRefused, Denied, EnvironmentWrong, RunnerError, Unreachable, UsageError
from runner.launchers.folders import check_mounted
from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.launchers.base import Order
    from runner.schema.documents import JsonObject

DIGEST_TAG = "runner/definition"
# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html, and IAM's own
_REFUSED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "BlockedException", "UnauthorizedOperation"}
_BUSY = re.compile(r"Throttl|TooManyRequests|RequestLimitExceeded|LimitExceeded|SlowDown|ServerException|Unavailable")
_LOG_PAUSES = (0.0, 1.0, 2.0)  # before a log is looked for
_FORBIDDEN = 403
_SERVER_FAILED = 500  # the HTTP statuses from here on
_PERFORM = re.compile(r"perform: ([\w:-]+)")
_CREDENTIALS = "Look with «aws sts get-caller-identity» whose they are; -O profile=NAME takes others."


class Refused(EnvironmentWrong):
    """AWS refuses what was asked for; ``aws_code`` is its word for that, ``resource_ids`` are what is there already."""

    aws_code = ""
    resource_ids: tuple[str, ...] = ()


class Account:
    """An account's services in one region, with the credentials that boto3 finds.

    Args:
        region: by default that of ``AWS_REGION``, or of the profile.
        profile: by default that of ``AWS_PROFILE``, or ``default``.
    """

    def __init__(self, region: str | None, profile: str | None) -> None:
        self._region, self._profile = region, profile
        self._clients: dict[str, object] = {}
        self._session: Any = None

    @property
    def region(self) -> str:
        """The region, for which nobody is asked. Raises EnvironmentWrong when none is set."""
        region: str | None = self._opened().region_name
        if not region:
            raise EnvironmentWrong("no region of AWS is set", hint="Set AWS_REGION, or name it: -O region=NAME.")
        return region

    def ask(self, service: str, operation: str, **arguments: Any) -> JsonObject:
        """Return what a service answers to an operation, by boto3's name: ``run_task``.

        boto3 has asked again before, as often as AWS_MAX_ATTEMPTS says. Raises Unreachable, CredentialsRefused, Denied
        and Refused, each with what AWS says.
        """
        region = self.region
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if service not in self._clients:
                patient = Config(retries={"mode": "standard"}, connect_timeout=10, read_timeout=60)
                self._clients[service] = self._opened().client(service, region_name=region, config=patient)
            answer: JsonObject = getattr(self._clients[service], operation)(**arguments)
        except ClientError as error:
            action = f"{service}:{error.operation_name}"
            raise _refusal(action, error.response) from error
        except BotoCoreError as error:
            raise _failure(service, error) from error
        return answer

    def _opened(self) -> Any:
        if self._session is None:
            boto3 = _boto3()
            from botocore.exceptions import BotoCoreError

            region = self._region or process_environ().get("AWS_REGION") or None  # which boto3 does not know
            try:
                self._session = boto3.Session(region_name=region, profile_name=self._profile)
            except BotoCoreError as error:
                raise _failure("aws", error) from error
        return self._session


def _boto3() -> Any:
    try:
        import boto3
    except ImportError as error:
        message = "AWS is reached by boto3, which is not installed"
        raise EnvironmentWrong(message, hint="pip install 'flow-runner[aws]'") from error
    return boto3


def _refusal(action: str, response: Any) -> RunnerError:
    """Return the error that an answer of AWS means."""
    code = str(response["Error"].get("Code", ""))
    words = " ".join(redact(str(response["Error"].get("Message", ""))).split()).rstrip(".")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    if code in _REFUSED:
        return CredentialsRefused(f"AWS refuses the credentials: {code}: {words}", hint=_CREDENTIALS)
    if code in _DENIED or status == _FORBIDDEN:
        found = _PERFORM.search(words)
        needed = found[1] if found else action
        return Denied(
            f"not allowed to do {needed}: {words}", hint=f"Give the identity {needed}, as docs/policies has it."
        )
    if status >= _SERVER_FAILED or _BUSY.search(code):
        return Unreachable(f"{action} was not answered: {code}: {words}", hint="Try again, or less often.")
    error = Refused(f"{action}: {code}: {words}", hint="Correct the option that it names: -O NAME=VALUE.")
    error.aws_code, error.resource_ids = code, tuple(response.get("resourceIds", ()))
    return error


def _failure(service: str, error: Exception) -> RunnerError:
    """Return the error that one of boto3's own means."""
    from botocore import exceptions

    words = " ".join(redact(str(error)).split()).rstrip(".")
    no_credentials = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.ProfileNotFound,
        exceptions.SSOError,
        exceptions.TokenRetrievalError,
    )
    if isinstance(error, no_credentials):
        return CredentialsRefused(f"there are no credentials of AWS: {words}", hint=_CREDENTIALS)
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        return Unreachable(f"{service} of AWS cannot be reached: {words}", hint="Check region, network and proxy.")
    return EnvironmentWrong(f"{service} of AWS cannot be asked: {words}", hint="Correct the option: -O NAME=VALUE.")


def digest_of(definition: Mapping[str, Any]) -> str:
    """Return the digest of a definition as it was rendered: AWS adds what it likes to what it was given."""
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()


def merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> JsonObject:
    """Return a definition with a user's own entries: dictionaries are merged, lists go on, all else is replaced."""
    both = dict(base)
    for name, value in own.items():
        old = both.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            both[name] = merged(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            both[name] = [*old, *value]
        else:
            both[name] = value
    return both


def pairs(named: Mapping[str, str], value: str = "value", name: str = "name") -> list[dict[str, str]]:
    """Return texts by name in the form that AWS has for them, in a fixed order."""
    return [{name: each, value: text} for each, text in sorted(named.items())]


def rendered(**documents: Mapping[str, Any]) -> str:
    """Return documents by the commands of ``aws`` that take each as ``--cli-input-json``."""
    return json.dumps({name.replace("_", "-"): document for name, document in documents.items()}, indent=2) + "\n"


def flow_of(order: Order) -> str:
    """Return the flow's name as all of AWS's names may be."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", order.labels.get("runner/flow", order.name))


def is_once(order: Order) -> bool:
    """Return whether an order is for one container, and not for what starts a run of its own again and again."""
    return "runner/run-id" in order.labels or bool(order.command)


def check_no_image(kind: str, given: Mapping[str, Any], name: str) -> None:
    """Refuse an image among what is merged: it would run in place of the one that is told. Raises UsageError."""
    if "image" in given.get(name, {}):
        message = f"{name} of {kind} has an image, and the launch names its own"
        raise UsageError(message, hint="Name it by --image, or the environment's metadata.")


def check_length(what: str, request: Mapping[str, Any], longest: int) -> None:
    """Refuse what is longer than AWS takes, as it does when it is asked. Raises EnvironmentWrong."""
    if (length := len(json.dumps(request, separators=(",", ":"), ensure_ascii=False))) > longest:
        message = f"the variables of the run make {what} {length:,} characters long, and AWS takes {longest:,}"
        raise EnvironmentWrong(message, hint="Put parameters that are large into a storage, and give the flow its URL.")


def check_secrets(kind: str, containers: Sequence[Mapping[str, Any]], role: str | None) -> None:
    """Refuse secrets that nobody has the right to read for a container, as AWS does. Raises EnvironmentWrong."""
    if role is None and any(each.get("secrets") for each in containers):
        message = f"{kind} reads secrets by an execution role, and none is named"
        raise EnvironmentWrong(message, hint="Name it: -O execution_role=ARN.")


def check_folders(kind: str, order: Order, container: Mapping[str, Any], options: str) -> None:
    """Refuse a container that has not the folders in which its flow lies. Raises EnvironmentWrong."""
    mounted = [point["containerPath"] for point in container.get("mountPoints", [])]
    check_mounted(kind, order.environ, mounted, f"volumes and mountPoints in -O {options}")


def shown(order: Order) -> Order:
    """Return an order that shows no secret: ``envsubst`` puts those in that are plain variables."""
    return order._replace(environ={**order.environ, **{name: f"${{{name}}}" for name in order.plain}})


def awslogs(group: str | None, account: Account) -> JsonObject:
    """Return the part of a container's definition that has its log kept in a group of CloudWatch; of none, nothing."""
    if group is None:
        return {}
    options = {"awslogs-group": group, "awslogs-region": account.region, "awslogs-stream-prefix": "runner"}
    return {"logConfiguration": {"logDriver": "awslogs", "options": options}}


def last_log_lines(account: Account, group: str, stream: str, lines: int) -> list[str]:
    """Return the last lines of a stream of CloudWatch, where they come some time after they were written."""
    for pause in _LOG_PAUSES:
        time.sleep(pause)
        try:
            found = account.ask(
                "logs", "get_log_events", logGroupName=group, logStreamName=stream, limit=lines, startFromHead=False
            )
        except Refused as error:
            if error.aws_code != "ResourceNotFoundException":
                raise
        else:
            if found["events"]:
                return [str(event["message"]).rstrip("\n") for event in found["events"]]
    return []


# What AWS says of an image, a secret or a role that is not there, or not for this one; unless the network failed.
_NEVER = re.compile(
    r"not found|no such|does not exist|denied|(manifest|name) unknown|forbidden|unauthorized|not authorized|basic auth"
    r"|unable to assume|invalid reference|exec format|matching platform|no matching manifest|ResourceNotFound"
    r"|InvalidParameter|is invalid",
    re.IGNORECASE,
)
_PERHAPS = re.compile(
    r"time.?out|timed out|deadline|connection|dial tcp|too.?many|temporar|unavailable|throttl|\b50\d\b|no such host",
    re.IGNORECASE,
)
_ERROR = re.compile(r"(\w+Error):? *(.*)", re.DOTALL)


def words_of(text: str) -> tuple[str, str]:
    """Return the word and the sentence of what ECS says: ``CannotPullContainerError: …``; no word if it has none."""
    found = _ERROR.match(text)
    if not found:
        return "", text
    word = "OOMKilled" if found[1] == "OutOfMemoryError" else found[1]
    return word, " ".join(found[2].split())


def is_hopeless(message: str) -> bool:
    """Return whether a container that did not begin will not do so the next time either."""
    return bool(_NEVER.search(message)) and not _PERHAPS.search(message)


def as_list(given: Mapping[str, Any], name: str) -> list[Any]:
    """Return an option that may be one or several."""
    value = given.get(name, [])
    return [value] if isinstance(value, str | dict) else list(value)


def check_choice(kind: str, name: str, value: str | None, choices: Sequence[str]) -> None:
    """Raise UsageError for an option that is none of those that there are."""
    if value is not None and value not in choices:
        raise UsageError(f"{kind} has no {name} {value!r}", hint=f"There are {', '.join(choices)}.")


def check_dictionaries(kind: str, given: Mapping[str, Any], *names: str) -> None:
    """Raise UsageError for an option that is no dictionary, and should be one."""
    for name in names:
        if name in given and not isinstance(given[name], dict):
            hint = f"""Write -O {name}='{{"KEY": "VALUE"}}'."""
            raise UsageError(f"{name} of {kind} is a dictionary, and not {given[name]!r}", hint=hint)
