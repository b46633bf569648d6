"""Where launchers run a flow: the image, the labels, the resources, and what a platform needs besides."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runner.errors import UsageError
from runner.limits import COUNTS_BELOW
from runner.naming import check_labels, check_text, check_words, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.schema.documents import EnvironmentRecord, JsonObject, ResourcesRecord

RESOURCES = ("cpu", "memory", "gpu", "disk")
LAUNCHER_KINDS = ("local", "docker", "kubernetes", "ecs", "batch", "slurm")
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_TOO_MANY = 1_000_000  # cores, or GPUs, of no machine
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(" + "|".join(_UNITS) + ")")


class LocalEnvironment:
    """Run the flow in one container of an image.

    Args:
        metadata: ``{"image": "org/runner:aws"}``; other entries are for people.
        labels: words that an agent must have to run the flow, added to the storage's.
        resources: what the container gets, on every platform: ``cpu`` (cores), ``memory`` and ``disk`` (bytes, or a
            text as Kubernetes has it: ``4Gi``, ``500M``) and ``gpu`` (their number).
        options: what only one platform has, by its launcher's kind and the names of that launcher's arguments:
            ``{"kubernetes": {"service_account": "etl"}}``.

    Raises:
        UsageError: when one of these is something else, or no reader would take it: the image is no text, a size one
            of more than 8 EiB.

    Example:
        >>> from runner import Flow
        >>> from runner.environments import LocalEnvironment
        >>> environment = LocalEnvironment(
        ...     metadata={"image": "org/runner:aws"}, labels=["gpu"], resources={"cpu": 2, "memory": "4Gi", "gpu": 1}
        ... )
        >>> flow = Flow("etl", environment=environment)
        >>> flow.environment.image, flow.environment.labels
        ('org/runner:aws', ('gpu',))
        >>> flow.environment.resources
        {'cpu': 2, 'memory': 4294967296, 'gpu': 1}
    """

    def __init__(
        self,
        *,
        metadata: Mapping[str, Any] | None = None,
        labels: Sequence[str] = (),
        resources: Mapping[str, Any] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.labels = check_words("labels", labels)
        check_labels(self.labels)
        self.metadata = dict(_checked_mapping("metadata", metadata))
        if self.image is not None:
            check_text("an image's name", self.image)
        self.resources = read_resources(_checked_mapping("resources", resources))
        given = _checked_mapping("options", options)
        self.options = {kind: _checked_options(kind, own) for kind, own in given.items()}

    @property
    def image(self) -> str | None:
        """The image's name, if one was given."""
        image: str | None = self.metadata.get("image")
        return image

    @property
    def record(self) -> EnvironmentRecord | None:
        """What the manifest says of it besides image and labels; None if that is nothing."""
        if not self.resources and not self.options:
            return None
        return {"resources": self.resources, "options": self.options}


def _checked_mapping(what: str, given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        message = f"{what} are a dictionary, and not {shown(given)}"
        raise UsageError(message, hint=f"Write {what}={{…: …}}.")
    return given or {}


def read_resources(given: Mapping[str, Any]) -> ResourcesRecord:
    """Return resources with sizes in bytes. Raises UsageError, which names the one that is none, and what it is."""
    read: ResourcesRecord = {}
    for name, value in given.items():
        if name == "cpu":
            read["cpu"] = _number(name, value)
        elif name == "gpu":
            read["gpu"] = int(_number(name, value, whole=True))
        elif name in {"memory", "disk"}:
            read[name] = read_size(name, value)  # type: ignore[literal-required]
        else:
            message = f"{shown(name)} is no resource"
            raise UsageError(message, hint="There are cpu, memory, gpu and disk.")
    return read


def _number(name: str, value: Any, *, whole: bool = False) -> float:
    number = value
    if isinstance(value, str):
        try:
            number = int(value) if value.isdecimal() else float(value)
        except ValueError:
            number = None
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if not is_number or not 0 < number < _TOO_MANY or (whole and number != int(number)):
        message = f"{name} is a {'whole ' if whole else ''}number above 0 and below {_TOO_MANY:,}, not {shown(value)}"
        raise UsageError(message, hint=f"Write {name}=1.")
    return float(number) if number != int(number) else int(number)


def read_size(name: str, value: Any) -> int:
    """Return a size in bytes. Raises UsageError, which names what it is of."""
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    size = float(found[1]) * _UNITS[found[2]] if found else value
    is_number = bool(found) or (isinstance(size, int) and not isinstance(size, bool))
    if not is_number or not 1 <= size < COUNTS_BELOW:
        message = f"{name} is a size of less than 8 EiB, and not {shown(value)}"
        raise UsageError(message, hint='Write bytes, or a text such as "4Gi" or "500M".')
    return int(size)


def _checked_options(kind: str, given: Any) -> JsonObject:
    if kind not in LAUNCHER_KINDS:
        message = f"options are for launchers, and {shown(kind)} is none"
        raise UsageError(message, hint=f"There are {', '.join(LAUNCHER_KINDS)}.")
    try:
        text = json.dumps(given, allow_nan=False, ensure_ascii=False)
        text.encode()  # which half of a surrogate pair cannot be
        plain = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"the options of {kind} must be what JSON has: {error}"
        raise UsageError(message, hint="Write texts, numbers, lists and dictionaries.") from error
    if not isinstance(plain, dict):
        message = f"the options of {kind} are a dictionary, and not {shown(given)}"
        raise UsageError(message, hint=f'Write options={{"{kind}": {{…}}}}.')
    return plain
