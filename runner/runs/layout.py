"""Where what belongs to a run lies: its folder, the keys in it, and the claim on one of its attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple  # a third of a dataclass's cost, for every start

if TYPE_CHECKING:
    from collections.abc import Iterable

LOG_END_LOGGER = "runner.pump"  # the logger of the lines of a log that are only shipped
SIGNATURE = ".sig"  # what the key of a result's signature ends with, which lies beside it
_SLUG = r"(?:[^\W_]+-)*[^\W_]+"
_RESULT = rf"results/(?:~/)?{_SLUG}(?:/[0-9]+)?\.pkl(?:\{SIGNATURE})?"
_KEYS = (  # in the run's folder
    r"(?:run|cancel|outcome)\.json|report\.html|launches/[0-9]{4,}(?:\.handle|\.end)?\.json"
    rf"|attempts/[0-9]{{4,}}/(?:claim\.json|beat|end\.json|logs/[0-9]{{6,}}\.jsonl|{_RESULT})"
)


class RunLayout(NamedTuple):
    """The keys of one run; ``home`` is the folder that holds the bundle, empty for a bucket's top."""

    home: str
    run_id: str

    @property
    def prefix(self) -> str:
        """The run's folder, without a slash at its end."""
        return "/".join(part for part in (self.home, "runs", self.run_id) if part)

    @property
    def run(self) -> str:
        """The key of ``run.json``."""
        return f"{self.prefix}/run.json"

    @property
    def outcome(self) -> str:
        """The key of ``outcome.json``."""
        return f"{self.prefix}/outcome.json"

    @property
    def report(self) -> str:
        """The key of ``report.html``."""
        return f"{self.prefix}/report.html"

    @property
    def cancel(self) -> str:
        """The key of ``cancel.json``."""
        return f"{self.prefix}/cancel.json"

    @property
    def launches(self) -> str:
        """The folder of all launches, with a slash at its end."""
        return f"{self.prefix}/launches/"

    def launch(self, number: int) -> str:
        """Return the key of a launch's claim, counted from 1."""
        return f"{self.launches}{number:04d}.json"

    def launch_handle(self, number: int) -> str:
        """Return the key of what the platform answered to a launch."""
        return f"{self.launches}{number:04d}.handle.json"

    def launch_end(self, number: int) -> str:
        """Return the key of what became of a launch, in the platform's words."""
        return f"{self.launches}{number:04d}.end.json"

    @property
    def attempts(self) -> str:
        """The folder of all attempts, with a slash at its end."""
        return f"{self.prefix}/attempts/"

    def attempt(self, number: int) -> str:
        """Return the folder of an attempt, counted from 1."""
        return f"{self.attempts}{number:04d}"

    def attempts_among(self, names: Iterable[str]) -> range:
        """Return the numbers of the attempts among the names of folders, of which anybody may have made some.

        Attempts are counted from 1 without a gap, and each has one name.
        """
        known, last = set(names), 0
        while self.attempt(last + 1).rpartition("/")[2] in known:
            last += 1
        return range(1, last + 1)

    def claim(self, number: int) -> str:
        """Return the key of an attempt's ``claim.json``."""
        return f"{self.attempt(number)}/claim.json"

    def beat(self, number: int) -> str:
        """Return the key of an attempt's ``beat``."""
        return f"{self.attempt(number)}/beat"

    def log(self, number: int, part: int) -> str:
        """Return the key of a part of an attempt's log, counted from 1."""
        return f"{self.attempt(number)}/logs/{part:06d}.jsonl"

    def end(self, number: int) -> str:
        """Return the key of an attempt's ``end.json``."""
        return f"{self.attempt(number)}/end.json"

    def results(self, number: int) -> str:
        """Return the folder of an attempt's results, with a slash at its end."""
        return f"{self.attempt(number)}/results/"

    def result(self, number: int, slug: str, index: int | None, *, varying: bool = False) -> str:
        """Return the key of a task's result; ``index`` is the element's place in a mapped task.

        One of a task whose arguments vary lies where nobody looks who would take it again: no task is called ``~``.
        """
        name = slug if index is None else f"{slug}/{index}"
        return f"{self.results(number)}{'~/' if varying else ''}{name}.pkl"

    def has(self, key: str) -> bool:
        """Return whether a key is one that runner gives to something of this run; what else lies there is another's."""
        import re  # no start needs it

        folder, slash, name = key.rpartition(f"{self.prefix}/")
        return not folder and bool(slash) and re.fullmatch(_KEYS, name) is not None


class RunPlace(NamedTuple):
    """Where a run lies, as one process tells another: scheme and container of the storage, home, and run id."""

    scheme: str
    container: str
    home: str
    run_id: str


class Claim(NamedTuple):
    """The right to work on a run as one of its attempts, counted from 1; the token tells it from another's."""

    attempt: int
    started: str
    token: str
