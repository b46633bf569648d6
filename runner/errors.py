"""Everything that can go wrong, one class per exit code.

::

    RunnerError
    ├── FlowFailed            1   the flow failed, or ended its own process
    ├── UsageError            2   wrong command line
    ├── BundleCorrupt        65   what is stored is no whole bundle
    │   └── TooLarge              larger than anything of its kind
    ├── NotFound             66   no such flow, version or run
    │   └── BucketMissing         no such bucket, container or folder
    ├── Unreachable          69   storage does not answer at all
    ├── InternalError        70   a bug in runner
    ├── NotStarted           71   no platform began the run: image, capacity, rights
    ├── WriteFailed          73   results could not be written
    │   └── AlreadyExists         a create found the key taken
    ├── ReadFailed           74   storage failed while reading
    │   └── TooSlow               connected, but no answer in time
    ├── RunHeld              75   another attempt holds this run
    ├── Incompatible         76   the bundle does not fit this image
    ├── CredentialsRefused   77   credentials refused, or none found
    │   └── Denied                known, but not allowed to do this
    ├── EnvironmentWrong     78   a variable, secret or parameter is wrong or missing
    ├── Untrusted            79   not signed by a trusted key, or too old
    └── TimedOut            124   the run took longer than RUNNER_TIMEOUT

Where a second try may go better (`RunnerError.transient`), `runner.backends.retry` may make one.

The codes from 64 to 78 keep the sense that BSD's ``sysexits.h`` gave them, 124 is that of ``timeout(1)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self


class RunnerError(Exception):
    """What runner tells a person: what failed, why it usually does, and what to do about it.

    ``str()`` of it is the message with the remedy after it.

    Args:
        message: what failed; it names the thing.
        hint: the remedy.
        transient: whether it may pass by itself; by default what holds for its class. What was not reached, not
            answered, or answered with a failure of the server's may.

    Example:
        >>> from runner.errors import RunnerError
        >>> error = RunnerError("the flow etl is nowhere", hint="Look with runner ls.")
        >>> str(error), error.code, error.transient
        ('the flow etl is nowhere. Look with runner ls.', 70, False)
    """

    code = 70
    transient = False

    def __init__(self, message: str, *, hint: str = "", transient: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if transient is not None:
            self.transient = transient

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message

    def with_message(self, message: str) -> Self:
        """Make the same error with another message, to be raised in its place.

        Args:
            message: the other message.

        Returns:
            An error of the same class, with the same hint.
        """
        return type(self)(message, hint=self.hint, transient=self.transient)


class FlowFailed(RunnerError):
    """The flow's own doing: a task failed, the flow ended its process, or it cannot be published as it is.

    Example:
        >>> from runner import Flow, FlowFailed, task
        >>> @task
        ... def divide():
        ...     return 1 / 0
        >>> with Flow("dividing") as flow:
        ...     quotient = divide()
        >>> try:
        ...     flow.run()
        ... except FlowFailed as error:
        ...     print(error)
        ...     print(repr(error.__cause__))
        task divide failed: ZeroDivisionError: division by zero
        ZeroDivisionError('division by zero')
    """

    code = 1


class UsageError(RunnerError):
    """The command line, or a location on it, makes no sense.

    Example:
        >>> from runner.errors import UsageError
        >>> from runner.storage import S3
        >>> try:
        ...     S3("my-flows", secrets="AWS_CREDENTIALS")
        ... except UsageError as error:
        ...     print(error)
        secrets take a list of names, not one text. Write secrets=["NAME"].
    """

    code = 2


class BundleCorrupt(RunnerError):
    """What is stored is not, byte for byte, a bundle that runner wrote, nor a pickle of a flow.

    Example:
        >>> from runner.errors import BundleCorrupt
        >>> BundleCorrupt.code, BundleCorrupt.transient
        (65, False)
    """

    code = 65


class TooLarge(BundleCorrupt):
    """An object is larger than anything of its kind: see `runner.limits`.

    Example:
        >>> from runner.errors import TooLarge
        >>> TooLarge.code, TooLarge.transient
        (65, False)
    """


class NotFound(RunnerError):
    """There is no such flow, version, run or object.

    Example:
        >>> from runner.errors import NotFound
        >>> NotFound.code, NotFound.transient
        (66, False)
    """

    code = 66


class BucketMissing(NotFound):
    """There is no such bucket, container or folder.

    Example:
        >>> from runner.errors import BucketMissing
        >>> BucketMissing.code, BucketMissing.transient
        (66, False)
    """


class Unreachable(RunnerError):
    """The storage does not answer at all, also after retries.

    Example:
        >>> from runner.errors import Unreachable
        >>> Unreachable.code, Unreachable.transient
        (69, True)
    """

    code = 69
    transient = True


class InternalError(RunnerError):
    """A bug in runner.

    Example:
        >>> from runner.errors import InternalError
        >>> InternalError.code, InternalError.transient
        (70, False)
    """

    code = 70


class NotStarted(RunnerError):
    """A launched run was never begun: its container found no image, no room, or did not claim it in time.

    Example:
        >>> from runner.errors import NotStarted
        >>> NotStarted("the run was not begun: ErrImagePull").code
        71
    """

    code = 71


class WriteFailed(RunnerError):
    """Something could not be written: no right, no room, or storage failed while writing.

    Example:
        >>> from runner.errors import WriteFailed
        >>> WriteFailed.code, WriteFailed.transient
        (73, True)
    """

    code = 73
    transient = True


class AlreadyExists(WriteFailed):
    """A create found its key taken by an object that is not its own.

    Example:
        >>> from runner import Flow
        >>> from runner.errors import AlreadyExists
        >>> from runner.storage import Local
        >>> flow = Flow("etl", storage=Local("flows", key="releases/v1"))
        >>> url = flow.storage.build()
        >>> try:
        ...     flow.storage.build()
        ... except AlreadyExists as error:
        ...     print(error.code)
        73
    """

    transient = False


class ReadFailed(RunnerError):
    """Storage failed while reading, also after retries.

    Example:
        >>> from runner.errors import ReadFailed
        >>> ReadFailed.code, ReadFailed.transient
        (74, True)
    """

    code = 74
    transient = True


class TooSlow(ReadFailed):
    """Storage took the request and did not answer in time.

    Example:
        >>> from runner.errors import TooSlow
        >>> TooSlow.code, TooSlow.transient
        (74, True)
    """


class RunHeld(RunnerError):
    """Another attempt holds this run.

    Example:
        >>> from runner.errors import RunHeld
        >>> RunHeld.code, RunHeld.transient
        (75, False)
    """

    code = 75


class Incompatible(RunnerError):
    """The bundle is whole, but cannot run here: other Python, a module or runner missing, a newer format.

    Example:
        >>> from runner.errors import Incompatible
        >>> Incompatible.code, Incompatible.transient
        (76, False)
    """

    code = 76


class CredentialsRefused(RunnerError):
    """The credentials were refused, or none were found.

    Example:
        >>> from runner.errors import CredentialsRefused
        >>> CredentialsRefused.code, CredentialsRefused.transient
        (77, False)
    """

    code = 77


class Denied(CredentialsRefused):
    """The storage knows who asks, and does not allow it.

    Example:
        >>> from runner.errors import Denied
        >>> Denied.code, Denied.transient
        (77, False)
    """


class EnvironmentWrong(RunnerError):
    """The environment is wrong or incomplete: a variable, a named secret, the parameters.

    Example:
        >>> from runner import Flow
        >>> from runner.errors import EnvironmentWrong
        >>> try:
        ...     Flow("etl").run(day="2026-01-01")
        ... except EnvironmentWrong as error:
        ...     print(error.message)
        the flow has no parameter 'day'
    """

    code = 78


class Untrusted(RunnerError):
    """The bundle is not signed by a trusted key, or is older than it may be.

    Example:
        >>> from runner.errors import Untrusted
        >>> Untrusted.code, Untrusted.transient
        (79, False)
    """

    code = 79


class TimedOut(RunnerError):
    """The run took longer than RUNNER_TIMEOUT.

    Example:
        >>> from runner.errors import TimedOut
        >>> TimedOut.code, TimedOut.transient
        (124, False)
    """

    code = 124


class TaskError(Exception):
    """A task's failure that runner found, not the task: nothing to map over, a value that cannot be pickled.

    Example:
        >>> from runner import Flow, FlowFailed, task
        >>> from runner.errors import TaskError
        >>> with Flow("mapping") as flow:
        ...     texts = task(str, name="text").map(task(int, name="number")(7))
        >>> try:
        ...     flow.run()
        ... except FlowFailed as error:
        ...     assert isinstance(error.__cause__, TaskError)
        ...     print(error.__cause__)
        cannot be mapped over a value of type int; give a list
    """


def from_code(code: int) -> type[RunnerError] | None:
    """Find the class of an exit code.

    Args:
        code: as a process of runner's ends with.

    Returns:
        The class, the one that others may refine; None if it is the code of none.

    Example:
        >>> from runner.errors import from_code
        >>> from_code(66)
        <class 'runner.errors.NotFound'>
    """
    return next((kind for kind in RunnerError.__subclasses__() if kind.code == code), None)


def from_name(name: str) -> type[RunnerError]:
    """Find the class of a name.

    Args:
        name: as ``type(error).__name__`` gives it to another process.

    Returns:
        The class.

    Raises:
        KeyError: when none has that name.

    Example:
        >>> from runner.errors import from_name
        >>> from_name("Denied")
        <class 'runner.errors.Denied'>
    """
    return {kind.__name__: kind for kind in _with_subclasses(RunnerError)}[name]


def _with_subclasses(kind: type[RunnerError]) -> list[type[RunnerError]]:
    return [kind, *(each for sub in kind.__subclasses__() for each in _with_subclasses(sub))]
