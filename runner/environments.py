"""Where launchers run a flow: the image, the labels, the resources, and what a platform needs besides."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from runner.errors import UsageError
from runner.naming import check_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.schema.documents import EnvironmentRecord, JsonObject, ResourcesRecord

RESOURCES = ("cpu", "memory", "gpu", "disk")
LAUNCHER_KINDS = ("local", "docker", "kubernetes", "ecs", "batch", "slurm")
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
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
        UsageError: when ``labels`` is one text instead of a list of words, or labels, resources or options are none.

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
        if isinstance(labels, str):
            message = "labels take a list of words, not one text"
            raise UsageError(message)
        check_labels(labels)
        self.metadata = dict(metadata or {})
        self.labels = tuple(labels)
        self.resources = read_resources(resources or {})
        self.options = {kind: _checked_options(kind, given) for kind, given in (options or {}).items()}

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


def read_resources(given: Mapping[str, Any]) -> ResourcesRecord:
    """Return resources with sizes in bytes. Raises UsageError, which names the one that is none."""
    read: ResourcesRecord = {}
    for name, value in given.items():
        if name == "cpu":
            read["cpu"] = _number(name, value)
        elif name == "gpu":
            read["gpu"] = int(_number(name, value, whole=True))
        elif name in {"memory", "disk"}:
            read[name] = read_size(name, value)  # type: ignore[literal-required]
        else:
            message = f"{name!r} is no resource"
            raise UsageError(message, hint="There are cpu, memory, gpu and disk.")
    return read


def _number(name: str, value: Any, *, whole: bool = False) -> float:
    if isinstance(value, str):
        try:
            value = int(value) if value.isdecimal() else float(value)
        except ValueError:
            value = None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < 1_000_000 or (whole and value != int(value)):  # noqa: PLR2004 - of no machine
        message = f"{name} is a {'whole ' if whole else ''}number above 0, and not {value!r}"
        raise UsageError(message, hint=f"Write {name}=1.")
    return float(value) if value != int(value) else int(value)


def read_size(name: str, value: Any) -> int:
    """Return a size in bytes. Raises UsageError, which names what it is of."""
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    size = int(float(found[1]) * _UNITS[found[2]]) if found else value
    if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
        message = f"{name} is a size, and not {value!r}"
        raise UsageError(message, hint='Write bytes, or a text such as "4Gi" or "500M".')
    return size


def _checked_options(kind: str, given: Any) -> JsonObject:
    if kind not in LAUNCHER_KINDS:
        message = f"options are for launchers, and {kind!r} is none"
        raise UsageError(message, hint=f"There are {', '.join(LAUNCHER_KINDS)}.")
    try:
        plain = json.loads(json.dumps(given, allow_nan=False))
    except (TypeError, ValueError) as error:
        message = f"the options of {kind} must be what JSON has: {error}"
        raise UsageError(message, hint="Write texts, numbers, lists and dictionaries.") from error
    if not isinstance(plain, dict):
        message = f"the options of {kind} are a dictionary, and not {given!r}"
        raise UsageError(message, hint=f'Write options={{"{kind}": {{…}}}}.')
    return plain
