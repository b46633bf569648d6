"""What runner did not write, published with build_flow; the first argument is the storage's folder."""

import sys

from runner import build_flow
from runner.storage import Local


def nightly(day: str = "2026-01-01") -> str:
    """Tell the day."""
    return f"ran for {day}"


class Named:
    """A parameter of a flow of Prefect 1."""

    def __init__(self, name: str, default: str) -> None:
        """Take both."""
        self.name, self.default, self.required = name, default, False


class State:
    """How a flow of Prefect 1 ended, or one of its tasks."""

    def __init__(self, result: object) -> None:
        """Take what it gave."""
        self.result = result

    def is_successful(self) -> bool:
        """It did."""
        return True

    def is_failed(self) -> bool:
        """It did not."""
        return False


class LikePrefect:
    """What a flow of Prefect 1 is to runner; Prefect itself need not be installed to run it."""

    name = "like-prefect"
    slugs = {"ask": "ask-1"}  # noqa: RUF012 - read only

    def sorted_tasks(self) -> list[str]:
        """List the tasks."""
        return ["ask"]

    def parameters(self) -> list[Named]:
        """List them."""
        return [Named("day", "2026-01-01")]

    def run(self, parameters: dict[str, str], run_on_schedule: bool) -> State:  # noqa: FBT001 - by name
        """Give a state whose result has one for each task."""
        return State({"ask": State(f"asked for {parameters['day']}, scheduled: {run_on_schedule}")})


if __name__ == "__main__":
    build_flow(nightly, storage=Local(sys.argv[1]))
    build_flow(LikePrefect(), storage=Local(sys.argv[1]))
