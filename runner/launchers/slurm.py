"""``Slurm``: a batch job of a cluster, by its own commands: ``sbatch``, ``squeue``, ``scontrol``, ``scancel``.

Their formats for people are the ones that all versions have; the JSON of ``squeue`` changed from one to the next.
"""

from __future__ import annotations

import math
import re
import shlex
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runner.environ import process_environ
from runner.errors import Denied, EnvironmentWrong, Unreachable, UsageError
from runner.launchers.base import LOG_LINES, Launcher, Order, Sighting
from runner.launchers.folders import folders_of
from runner.launchers.shell import shell_word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CONTAINERS = ("apptainer", "podman-hpc")
_TEXTS = ("partition", "account", "qos", "constraint", "time", "python", "output")
_SECONDS = 60.0  # for one command; a controller that is busy answers late
_PASSED_ON = "HOME,USER,PATH,LANG"  # of the environment of whoever launches; sites' profiles are the job's own
_MARGIN = 10  # seconds more than the grace before the end of the time, and of the stop
_LOOK_SECONDS = 0.2
# https://slurm.schedmd.com/squeue.html#SECTION_JOB-STATE-CODES and -REASON-CODES
_WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD", "REQUEUE_FED"}
_RUNNING = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}
_HOPELESS = {
    "AccountNotAllowed",
    "BadConstraints",
    "DependencyNeverSatisfied",
    "InvalidAccount",
    "InvalidQOS",
    "PartitionNodeLimit",
    "PartitionTimeLimit",
    "QOSNotAllowed",
}
# Options of sbatch by which a job would be another than the one that is looked after, and what to say instead.
_OWN = {
    "array": "Launch each run by itself, or render the script: docs/platforms.md has an array.",
    "clusters": "Name the cluster to all of Slurm's commands: export SLURM_CLUSTERS=NAME.",
    "export": "Give variables by -e NAME=VALUE.",
    "job-name": "Give the run a name by --run-id.",
    "no-requeue": "It is the default.",
    "output": "Write -O output=PATH.",
    "requeue": "Write -O requeue=true.",
    "wait": "Write --follow.",
    "wrap": "What the job does, the launch says.",
}
_SHORT = {"-a": "array", "-M": "clusters", "-J": "job-name", "-o": "output", "-W": "wait"}
# Variables by which Slurm's commands would choose or filter, and those of the job from within which one launches: jobs
# are given all SLURM_* of who submits them. What is kept says where the cluster is.
_NOT_OURS = re.compile(
    r"(SLURM|SQUEUE|SCANCEL|SCONTROL|SACCT)_.*"
    r"|SBATCH_(ARRAY_INX|ERROR|EXPORT|JOB_NAME|NO_REQUEUE|OPEN_MODE|OUTPUT|REQUEUE|SIGNAL|WAIT)"
)
_KEPT = {"SLURM_CLUSTERS", "SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT"}
_UNREACHABLE = r"Unable to contact|Socket timed out|Connection refused|Communication connection failure|Zero Bytes"
_DENIED = r"[Pp]ermission denied|Access/permission|Authentication|auth"


class Slurm(Launcher):
    """Run flows as batch jobs of a Slurm cluster.

    Without ``container`` a job runs ``python -m runner`` of an interpreter that the nodes have too, and no image. The
    reference of a secret is the path of a file on a file system that the nodes share.

    Args:
        partition: the partition; by default the cluster's own.
        account: the account that is charged.
        qos: the quality of service.
        time: the time limit as Slurm has it, ``minutes`` or ``D-HH:MM``; by default the flow's timeout and a minute.
        constraint: features that a node must have.
        python: the interpreter on the nodes; by default this one's path.
        container: ``apptainer`` or ``podman-hpc``, by which the image is run; by default none.
        requeue: whether Slurm itself may start the job again, as after a node's failure; the run then goes on.
        setup: lines of the shell before it begins: ``["module load python"]``.
        arguments: more options of ``sbatch``: ``["--nodelist=n1"]``.
        output: the file of the job's log, on a shared file system; by default ``~/.runner/slurm/<name>.log``.

    Example:
        >>> from runner.launchers import Slurm
        >>> Slurm(partition="short", setup=["module load python"]).kind
        'slurm'
    """

    kind = "slurm"

    def __init__(  # noqa: PLR0913 - the platform's options
        self,
        *,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        time: str | int | None = None,
        constraint: str | None = None,
        python: str | None = None,
        container: str | None = None,
        requeue: bool | None = None,
        setup: Sequence[str] | None = None,
        arguments: Sequence[str] | None = None,
        output: str | None = None,
    ) -> None:
        super().__init__(
            partition=partition,
            account=account,
            qos=qos,
            time=time,
            constraint=constraint,
            python=python,
            container=container,
            requeue=requeue,
            setup=setup,
            arguments=arguments,
            output=output,
        )
        if container not in {None, *_CONTAINERS}:
            message = f"slurm has no container {container!r}"
            raise UsageError(message, hint=f"There are {' and '.join(_CONTAINERS)}.")
        for name in ("setup", "arguments"):
            lines = self.given.get(name, ())
            if isinstance(lines, str) or not all(isinstance(line, str) for line in lines):
                raise UsageError(f"{name} of slurm is a list of lines, not one text", hint=f'Write {name}=["…"].')
        for name in _TEXTS:
            _check_text(name, self.given.get(name, "-"))
        for line in self.given.get("arguments", ()):
            _check_text("arguments", line)
        if not isinstance(requeue, bool | None):
            raise UsageError(f"requeue of slurm is true or false, and not {requeue!r}", hint="Write requeue=true.")
        _check_arguments(self.given.get("arguments", ()))

    @property
    def needs_image(self) -> bool:
        """See `Launcher.needs_image`."""
        return "container" in self.given

    def render(self, order: Order) -> str:
        """See `Launcher.render`; the script that ``sbatch`` takes, where a plain secret is the shell's variable."""
        return self._script(order, {name: f'"${name}"' for name in order.plain})

    def _script(self, order: Order, instead: Mapping[str, str]) -> str:
        if odd := [name for name in order.environ_with_files if not name.isidentifier()]:
            message = f"a job of Slurm can have no variable {odd[0]!r}"
            raise UsageError(message, hint="Name the secret with letters, digits and _ alone.")
        directives = [f"#SBATCH {option}" for option in self._options(order)]
        given = {name: instead.get(name, shell_word(text)) for name, text in sorted(order.environ_with_files.items())}
        exports = [f"export {name}={text}" for name, text in given.items()]
        lines = ["#!/bin/bash", *directives, *self.given.get("setup", []), *exports, self._program(order)]
        return "\n".join(lines) + "\n"

    def launch(self, order: Order) -> dict[str, str]:
        """See `Launcher.launch`. Of two jobs of one name, the second waits until the first is over."""
        if job := _find(order.name):
            return {"job": job}
        self._output(order.name).parent.mkdir(parents=True, exist_ok=True)
        said = _run("sbatch", "--parsable", given=self._script(order, {}))  # a site's own sbatch may greet before
        return {"job": said.strip().rpartition("\n")[2].partition(";")[0]}

    def describe(self, name: str) -> Sighting:
        """See `Launcher.describe`."""
        job = _find(name)
        shown = _run("scontrol", "--all", "show", "job", "--oneliner", job, may_fail=True) if job else ""
        facts = dict(part.split("=", 1) for part in shown.split() if "=" in part)
        if not facts:
            return _from_accounting(name)
        return _sighting(facts["JobState"], facts.get("ExitCode", "0:0"), facts.get("Reason", "None"))

    def stop(self, name: str, grace: float) -> None:
        """See `Launcher.stop`."""
        until = time.monotonic() + grace
        while (job := _find(name)) and (seen := self.describe(name)).phase in {"waiting", "running"}:
            if seen.phase == "waiting" or time.monotonic() >= until:
                _run("scancel", job, may_fail=True)
                if seen.phase == "running":
                    _run("scancel", "--signal=KILL", "--full", job, may_fail=True)
            elif until - time.monotonic() > grace - _LOOK_SECONDS:
                _run("scancel", "--signal=TERM", "--batch", job, may_fail=True)
            time.sleep(_LOOK_SECONDS)

    def remove(self, name: str) -> None:
        """See `Launcher.remove`; Slurm forgets a job by itself, some minutes after it has ended."""
        self.stop(name, 0)
        if "output" not in self.given:  # that one is whoever's who named it, and may have other jobs' logs
            self._output(name).unlink(missing_ok=True)

    def logs(self, name: str, lines: int = LOG_LINES) -> list[str]:
        """See `Launcher.logs`."""
        with suppress(OSError):
            return self._output(name).read_text("utf-8", errors="replace").splitlines()[-lines:]
        return []

    def _output(self, name: str) -> Path:
        return Path(self.given.get("output") or Path.home() / ".runner" / "slurm" / f"{name}.log")

    def _options(self, order: Order) -> list[str]:
        """Return the options of sbatch, in a fixed order."""
        given, resources = self.given, order.resources
        named = [f"--{name}={given[name]}" for name in ("partition", "account", "qos", "constraint") if name in given]
        named = list(map(shlex.quote, named))
        limit = given.get("time")
        if limit is None and order.timeout is not None:
            limit = math.ceil((order.timeout + order.grace + _MARGIN) / 60) + 1
        amounts = {
            "cpus-per-task": math.ceil(resources["cpu"]) if "cpu" in resources else None,
            "mem": f"{math.ceil(resources['memory'] / 2**20)}M" if "memory" in resources else None,
            "gpus": resources.get("gpu"),
            "tmp": f"{math.ceil(resources['disk'] / 2**20)}M" if "disk" in resources else None,
            "time": limit,
        }
        return [
            f"--job-name={order.name}",
            "--dependency=singleton",
            "--requeue" if given.get("requeue") else "--no-requeue",
            f"--signal=B:TERM@{math.ceil(order.grace) + _MARGIN}",
            "--open-mode=append",
            shlex.quote(f"--output={self._output(order.name)}"),  # sbatch reads quotes as a shell does
            f"--export={_PASSED_ON}",
            *named,
            *(shlex.quote(f"--{name}={amount}") for name, amount in amounts.items() if amount is not None),
            *given.get("arguments", []),
        ]

    def _program(self, order: Order) -> str:
        container = self.given.get("container")
        if container is None:
            return f"exec {shlex.join([self.given.get('python') or sys.executable, '-m', 'runner', *order.command])}"
        mounted = [f"{path}:{path}:ro" for path in map(_bindable, order.secrets.values())]
        mounted += [f"{path}:{path}" for path in map(_bindable, folders_of(order.environ))]
        if container == "apptainer":  # which takes the environment along
            words = ["apptainer", "run", *(["--nv"] if order.resources.get("gpu") else [])]
            words += [f"--bind={path}" for path in mounted]
            return f"exec {shlex.join([*words, f'docker://{order.image}', *order.command])}"
        words = ["podman-hpc", "run", "--rm", *(["--gpu"] if order.resources.get("gpu") else [])]
        words += [f"--env={name}" for name in sorted(order.environ_with_files)]
        words += [f"--volume={path}" for path in mounted]
        return f"exec {shlex.join([*words, order.image, *order.command])}"


def _check_arguments(arguments: Sequence[str]) -> None:
    """Raise UsageError for an option of sbatch that the launch says itself; long ones may be shortened."""
    for word in (word for line in arguments for word in str(line).split() if word.startswith("-")):
        given = word.partition("=")[0].removeprefix("--")
        own = next((name for name in _OWN if word.startswith("--") and len(given) > 2 and name.startswith(given)), None)  # noqa: PLR2004 - shorter ones mean several
        if own := own or _SHORT.get(word[:2]):
            raise UsageError(f"{word} is no argument of a launch on slurm", hint=_OWN[own])


def _check_text(name: str, value: object) -> None:
    """Refuse what would not be one line of the script. Raises UsageError."""
    if (
        not isinstance(value, str | int)
        or isinstance(value, bool)
        or not str(value).strip()
        or not str(value).isprintable()
    ):
        message = f"{name} of slurm is a text of one line, and not {value!r}"
        raise UsageError(message, hint=f"Write -O {name}=TEXT.")


def _bindable(path: str) -> str:
    """Return a path that a container's command line can bind. Raises UsageError where it would read it as several."""
    if set(path) & set(":,"):
        message = f"{path!r} cannot be bound into a container: ':' and ',' part its command line"
        raise UsageError(message, hint="Give the folder, or the secret's file, a path without them.")
    return path


def _find(name: str) -> str:
    """Return the id of the first job of a name that Slurm still knows; empty if there is none."""
    said = _run("squeue", "--noheader", "--all", "--states=all", f"--name={name}", "--format=%A")
    return min(filter(str.isdecimal, said.split()), key=int, default="")  # of several clusters, it names each


def _from_accounting(name: str) -> Sighting:
    """Return what the accounting, where a cluster has one, says of a job that the controller has forgotten."""
    command = (
        "sacct",
        "--noheader",
        "--parsable2",
        "--allocations",
        f"--name={name}",
        "--format=State,ExitCode,Reason",
    )
    first = _run(*command, may_fail=True).partition("\n")[0].split("|")
    if len(first) != 3:  # noqa: PLR2004 - what was asked for
        return Sighting("absent")
    return _sighting(*first)


def _sighting(state: str, exit_code: str, reason: str) -> Sighting:
    state = state.split(maxsplit=1)[0].rstrip("+")  # CANCELLED by 1000
    why = "" if reason in {"None", "NonZeroExitCode", ""} else reason
    if state in _WAITING:
        is_queued = state == "PENDING" and not re.search("Held|held|Down", why)
        return Sighting("waiting", why or state.capitalize(), is_hopeless=why in _HOPELESS, is_queued=is_queued)
    if state in _RUNNING:
        return Sighting("running")
    code, _, number = exit_code.partition(":")
    if state in {"COMPLETED", "FAILED"}:
        return Sighting("ended", why, exit_code=int(code) or (128 + int(number) if int(number or 0) else 0))
    if state == "OUT_OF_MEMORY":
        return Sighting("ended", state, "its step was killed for memory", 137)
    return Sighting("ended", state, "" if why == state else why, int(code) or None)


def _run(*command: str, given: str | None = None, may_fail: bool = False) -> str:
    """Return what a command prints. Raises Unreachable, Denied and EnvironmentWrong, which say what it said."""
    environ = {name: text for name, text in process_environ().items() if name in _KEPT or not _NOT_OURS.fullmatch(name)}
    try:
        done = subprocess.run(  # noqa: S603 - Slurm's own commands
            command,
            input=given,
            env=environ,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_SECONDS,
        )
    except FileNotFoundError as error:
        if may_fail:
            return ""
        message = f"there is no {command[0]} here"
        raise EnvironmentWrong(
            message, hint="Launch from a node that has Slurm's commands, as a login node."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"{command[0]} did not answer within {_SECONDS:g} s", hint="Try again.") from error
    said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
    if done.returncode == 0:
        return done.stdout
    if "configuration source" in said:
        raise EnvironmentWrong(f"this machine belongs to no cluster: {said}", hint="Launch from a login node of one.")
    if re.search(_UNREACHABLE, said):
        raise Unreachable(f"Slurm does not answer: {said}", hint="Look at its controller: scontrol ping.")
    if may_fail:
        return ""
    if re.search(_DENIED, said):
        raise Denied(f"Slurm refuses this: {said}", hint="Ask the site's administrators, or name another account.")
    raise EnvironmentWrong(f"Slurm refuses the job: {said}", hint="Correct the option that it names: -O NAME=VALUE.")
