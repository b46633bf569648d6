"""What every launcher does, and what it is given: one contract for all platforms."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeVar

from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from runner.schema.documents import ResourcesRecord

Phase = Literal["absent", "waiting", "running", "ended", "unknown"]
LOG_LINES = 30  # of a platform's log that are kept of a start that ended badly
LauncherType = TypeVar("LauncherType", bound="Launcher")
_SLUG = 30  # characters of a run id in the name of a platform's object


class Order(NamedTuple):
    """What a platform is asked for: one container, once.

    Args:
        name: of the platform's object, made of the run and the number of the launch; a DNS label of at most 63.
        image: of the container; empty where none is run.
        environ: variables that hold no secret, but for those in ``plain``.
        secrets: references by the names of secrets; what a reference is, the launcher says.
        resources: cores, bytes of memory and disk, GPUs; see `runner.environments.LocalEnvironment`.
        labels: for whoever looks at the platform: ``runner/flow``, ``runner/run-id``, ``runner/launch``, with values
            that every platform takes: at most 63 letters, digits, ``.``, ``_`` and ``-``.
        grace: seconds that the platform must give the container between asking it to stop and killing it.
        timeout: seconds after which the flow ends itself; the platform's own limit, if it has one, is later.
        command: what the entrypoint is given: nothing, to run the flow.
        plain: names of variables in ``environ`` that hold a secret all the same, as it was asked for by name; `render`
            shows none of their values.
    """

    name: str
    image: str
    environ: Mapping[str, str]
    secrets: Mapping[str, str]
    resources: ResourcesRecord
    labels: Mapping[str, str]
    grace: float
    timeout: float | None = None
    command: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()

    @property
    def environ_with_files(self) -> dict[str, str]:
        """The variables where a secret's reference is the path of a file, with those that name these files."""
        return {**self.environ, **{f"{name}_FILE": path for name, path in self.secrets.items()}}


class Sighting(NamedTuple):
    """What a platform says of an object now.

    Args:
        phase: ``absent``: there is none of that name (any more); ``waiting``: its container has not begun; ``running``;
            ``ended``; ``unknown``: the platform does not answer, or says nothing that means anything.
        reason: its word: ``ErrImagePull``, ``OOMKilled``.
        message: its sentence.
        exit_code: of the container's process, as the platform has it.
        events: what happened to it, oldest first.
        is_hopeless: whether it will not begin, however long one waits.
        is_queued: whether it waits for its turn in a queue, and nobody has tried to start it yet.
    """

    phase: Phase
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    events: tuple[str, ...] = ()
    is_hopeless: bool = False
    is_queued: bool = False

    @property
    def text(self) -> str:
        """The platform's word and sentence, for people."""
        return ": ".join(part for part in (self.reason, self.message) if part) or self.phase


class Launcher(ABC):
    """Starts a flow's image on one platform, and looks after what it started, by its name alone.

    Each call can be made again, by anybody, with the same effect: to launch a name that is there already is success,
    and so is to stop or remove one that is gone. Each raises Unreachable when the platform does not answer,
    CredentialsRefused when it lets nobody in, and Denied when it forbids this.

    Args:
        given: the platform's options that were named; those that are None were not.

    Attributes:
        tell: given a line for people while `launch` takes its time, or where it could not have all as it was asked for.
    """

    kind: ClassVar[str]

    def __init__(self, **given: Any) -> None:
        self.given = {name: value for name, value in given.items() if value is not None}
        self.tell: Callable[[str], None] = lambda _text: None

    def with_defaults(self, options: Mapping[str, Any]) -> Self:
        """Return this launcher with a flow's own options where none was given. Raises UsageError."""
        return make_launcher(type(self), {**options, **self.given})

    @property
    def needs_image(self) -> bool:
        """Whether what is launched is a container of an image, which the flow must have then."""
        return True

    def check(self) -> str:
        """Ask the platform whether a launch may be tried, and return what it says; raise as the calls below."""
        self.describe("runner-doctor-asks")
        return "it answers"

    def flow_in(self, image: str) -> tuple[str, bytes]:
        """Return path and bytes of the bundle that was baked into an image. Raises UsageError where there is none."""
        message = f"{self.kind} cannot look what flow is in {image}"
        raise UsageError(message, hint="Launch it with docker, or a flow that lies in a storage.")

    @abstractmethod
    def render(self, order: Order) -> str:
        """Return the exact thing that `launch` would ask for, as the platform's users write it; reach no platform."""

    @abstractmethod
    def launch(self, order: Order) -> dict[str, str]:
        """Have the platform make the object, with no retries of its own, and return by what it knows it.

        Raises EnvironmentWrong when the platform refuses what was asked for, and NotStarted when it has no room for it
        now and has made nothing, each naming what it says.
        """

    @abstractmethod
    def describe(self, name: str) -> Sighting:
        """Return what the platform says of the object; ``unknown`` where it does not answer."""

    @abstractmethod
    def stop(self, name: str, grace: float) -> None:
        """Have the platform ask the container to end, and kill it after so many seconds."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove what is left of an object that has ended, or never began."""

    @abstractmethod
    def logs(self, name: str, lines: int = LOG_LINES) -> list[str]:
        """Return the last lines that the container wrote, as far as the platform has them."""


def make_launcher(kind: type[LauncherType], options: Mapping[str, Any]) -> LauncherType:
    """Make a launcher with options by their names. Raises UsageError for one that it has not, or of another type."""
    from runner.launchers.given import checked_options

    return kind(**checked_options(kind.kind, kind.__init__, options))


def object_name(run_url: str, run_id: str, number: int) -> str:
    """Return what the object of a launch is called on any platform: a DNS label that only this launch has.

    Example:
        >>> from runner.launchers.base import object_name
        >>> object_name("s3://my-flows/etl/runs/2026_11", "2026_11", 1)
        'run-2026-11-b83eceae-1'
    """
    slug = "-".join("".join(char if char.isalnum() else " " for char in run_id.lower()).split())[:_SLUG].strip("-")
    return f"run-{slug}-{hashlib.sha256(run_url.encode()).hexdigest()[:8]}-{number}"
