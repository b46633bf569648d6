"""``runner agent start`` and ``runner agents``: take waiting runs and launch them, and see who does."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import urlsplit

import click

from runner import naming
from runner.agents.agent import Agent, Habits
from runner.agents.hooks import Hooks, kill_commands
from runner.agents.neighbours import LONGEST_BEAT
from runner.agents.queue import Queue
from runner.agents.register import Register, last_sign
from runner.agents.runs import Runs
from runner.cli.format import as_json_option, echo, echo_json, print_table
from runner.cli.launch_options import budget_options, budgets_of, launcher_of, platform_options, wishes_of
from runner.cli.locations import open_location, parse_location_argument, read_settings
from runner.cli.parameters import Seconds
from runner.environments import LAUNCHER_KINDS
from runner.errors import UsageError
from runner.launchers.order import check_no_image, check_wishes
from runner.process import host_name
from runner.runs.documents import FORMAT, requester
from runner.runs.status import duration_text
from runner.schemes import backend_of
from runner.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.location import Location
    from runner.schema.documents import AgentDocument
    from runner.settings import Settings


class ShownAgent(TypedDict):
    """An agent in the document of ``runner agents --json``, and the runs that it looks after; None of one that left.

    ``silent`` are the seconds since its last heartbeat.
    """

    agent: str
    document: AgentDocument | None
    silent: float | None
    runs: list[str]


@click.group(name="agent", short_help="Take waiting runs, and launch them; agents lists who does.")
def agent_group() -> None:
    """Work as an agent."""


@agent_group.command(name="start")
@click.argument("kind", type=click.Choice(LAUNCHER_KINDS), metavar="KIND")
@click.option("--storage", "root", required=True, metavar="URL", help="Where the flows lie whose runs it takes.")
@click.option("-l", "--label", "labels", multiple=True, metavar="LABEL", help="A label; it takes runs with no others.")
@click.option("--name", metavar="NAME", help="Its name, which some letters follow; without it, its machine's.")
@click.option("--concurrency", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Runs at once.")
@click.option("--poll", type=Seconds(min=0.1), default=2.0, show_default=True, metavar="SECONDS")
@click.option("--beat", type=Seconds(min=0.1, max=LONGEST_BEAT), default=30.0, show_default=True, metavar="SECONDS")
@click.option(
    "--on-stop",
    type=click.Choice(["hand-over", "wait"]),
    default="hand-over",
    show_default=True,
    help="Leave its runs to the other agents, or look after them to their ends.",
)
@click.option("--on-outcome", "command", metavar="COMMAND", help="A shell command, run for each outcome.")
@click.option("--webhook", metavar="URL", help="Where each outcome is posted; RUNNER_WEBHOOK_SECRET signs it.")
@budget_options
@platform_options
def start(kind: str, root: str, *, labels: tuple[str, ...], name: str | None, **given: Any) -> None:
    """Take the runs below URL all of whose labels this agent has, and launch them on KIND, until it is stopped.

    SIGTERM stops it; a second one at once. Whatever it has launched goes on.
    """
    settings = read_settings(with_location=False)._replace(run_id=None)
    location = parse_location_argument(root).as_root()
    storage = open_location(location)
    lock = threading.Lock()

    def tell(text: str) -> None:
        with lock:
            echo(text, err=True)

    least = backend_of(storage.scheme).seconds_between_writes
    if given["beat"] < least:
        message = f"--beat is {given['beat']:g}, and {backend_of(storage.scheme).title} takes one write in {least:g} s"
        raise UsageError(message, hint=f"Give {least:g} or more.")
    naming.check_labels(labels)
    launcher = launcher_of(kind, given)
    wishes = wishes_of(settings, given | {"parameters": ()})
    if not launcher.needs_image:  # told now, and not by a refusal of each run
        check_no_image(wishes)
    launcher.check()
    check_wishes(wishes, settings)
    _check_results(settings, location)
    document: AgentDocument = {
        "format": FORMAT,
        "token": naming.new_token(),
        "agent": f"{naming.slugify(name or host_name())[:100]}-{os.urandom(3).hex()}",
        "kind": kind,
        "labels": sorted(set(labels)),
        "concurrency": given["concurrency"],
        "beat": given["beat"],
        "version": __version__,
        "pid": os.getpid(),
        "started": naming.now(),
        "by": requester(),
    }
    runs = Runs(storage, launcher, wishes, settings, budgets_of(given), tell)
    if given["command"] is not None and not given["command"].strip():
        raise UsageError("--on-outcome is empty", hint="Give a command, or leave it out.")
    hooks = Hooks(given["command"], _checked_url(given["webhook"]), settings.webhook_secret, tell)
    hear = hooks.hear if hooks.command or hooks.url else None
    habits = Habits(given["poll"], given["concurrency"], given["on_stop"] == "wait", hear)
    register = Register(storage, location.key)
    register.folders()  # where nothing could ever wait, as below a name that is misspelt, this tells so
    agent = Agent(document, Queue(storage, location.key), register, runs, habits, tell)

    def stop(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second one ends it at once
        agent.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))  # whoever started it may block them
    try:
        agent.work()
    finally:
        kill_commands()  # whoever takes their runs tells of them again


@click.command(hidden=True)  # a screen has no room; the help of `agent` names it
@click.argument("url")
@as_json_option
def agents(url: str, *, as_json: bool) -> None:
    """List the agents that take runs below URL, with their labels, and the runs that each looks after."""
    location = parse_location_argument(url).as_root()
    register = Register(open_location(location), location.key)
    shown = [_shown(register, agent, names) for agent, names in sorted(register.folders().items())]
    if as_json:
        echo_json({"agents": shown})
        return
    rows = []
    for each in shown:
        said = each["document"]
        about = (
            [said["kind"], ", ".join(said["labels"]), said["started"], _beat(each["silent"]), said["by"]["host"]]
            if said
            else ["gone", *[""] * 4]
        )
        rows.append([each["agent"], *about, len(each["runs"])])
    print_table(["AGENT", "ON", "LABELS", "SINCE", "BEAT", "HOST", "RUNS"], rows)
    for each in shown:
        for run in each["runs"]:
            echo(f"{each['agent']}: {run}")


def _check_results(settings: Settings, root: Location) -> None:
    """Refuse an agent whose runs would lie elsewhere than it looks: each would be given up. Raises UsageError."""
    results = settings.results or root
    if (results.scheme, results.container) != (root.scheme, root.container):
        message = f"the runs of these flows lie at {results.url}, where this agent does not look"
        raise UsageError(message, hint="Name a root there: --storage; or unset RUNNER_RESULTS.")


def _beat(silence: float | None) -> str:
    return "" if silence is None else f"{duration_text(silence)} ago"


def _shown(register: Register, agent: str, names: Mapping[str, float]) -> ShownAgent:
    sign = last_sign(names)
    markers = [register.read_marker(agent, name) for name in names if name.startswith("runs/")]
    runs = [f"{marker['home']}/runs/{marker['run_id']}".lstrip("/") for marker in markers if marker]
    return {
        "agent": agent,
        "document": register.read(agent),
        "silent": None if sign is None else max(0.0, time.time() - sign),
        "runs": [register.storage.url(run) for run in runs],
    }


def _checked_url(text: str | None) -> str | None:
    """Return a webhook's URL, which is looked at now, and not when the first run is over. Raises UsageError."""
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError("--webhook is no URL of http or https", hint="Write https://…, percent-encoded.")
    if parts.username is not None:
        raise UsageError(
            "--webhook names a user, which is not sent", hint="Let RUNNER_WEBHOOK_SECRET sign what is posted."
        )
    return text
