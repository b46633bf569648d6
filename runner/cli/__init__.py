"""The command line. A container that runs a flow imports nothing of it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from contextlib import suppress
from io import StringIO, TextIOWrapper
from typing import Any

import click

from runner import errors
from runner.cli.agent import agent_group, agents
from runner.cli.build import build
from runner.cli.cancel import cancel
from runner.cli.check import check
from runner.cli.doctor import doctor
from runner.cli.format import echo_block, echo_error, echo_json
from runner.cli.inspect import inspect
from runner.cli.keys import keygen, sign, verify
from runner.cli.launch import launch_command
from runner.cli.logs import logs
from runner.cli.ls import ls
from runner.cli.promote import promote
from runner.cli.prune import prune
from runner.cli.report import report
from runner.cli.result import result
from runner.cli.run import retry, run
from runner.cli.show import show
from runner.cli.submit import submit_command
from runner.cli.version import show_version, version
from runner.environ import process_environ
from runner.publishing.untimely_end import untimely_end_told
from runner.secrets.named import hide_named
from runner.secrets.redaction import redact
from runner.tracebacks import authors_line

_HELP = "Run the flow of RUNNER_LOCATION. LOCATION: URL or path; RUN: URL or id."


_BROKEN_PIPE = 141  # 128 and the number of SIGPIPE, by which other tools end, and which Python ignores


def _version_asked(context: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click calls it
    if value and not context.resilient_parsing:
        show_version(as_json=False)
        context.exit()


class _Commands(click.Group):
    """The commands, which end as other tools do where nobody reads any more.

    The help lists them and no options: a screen has no room for ``--help``.
    """

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise click.exceptions.Exit(_BROKEN_PIPE) from None


@click.group(
    cls=_Commands,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, hidden=True, callback=_version_asked)
def cli() -> None:
    """Group the commands; its help is ``_HELP``."""


for command in (
    run,
    retry,
    launch_command,
    submit_command,
    agent_group,
    agents,
    build,
    promote,
    prune,
    cancel,
    check,
    doctor,
    inspect,
    ls,
    show,
    report,
    logs,
    result,
    keygen,
    sign,
    verify,
    version,
):
    cli.add_command(command)


def main() -> int:
    """Run the command line, and return the exit code; an error is one sentence on standard error, never a traceback.

    With ``--json`` an error is a document on standard output.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # what the terminal's encoding does not know is no reason to end
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        _become_program(sys.argv[1:])
        with untimely_end_told(_told):
            return int(cli.main(prog_name="runner", standalone_mode=False) or 0)
    except click.ClickException as error:
        if "--json" in sys.argv:
            return _told(errors.UsageError(error.format_message()))
        shown = StringIO()
        error.show(shown)
        echo_block(shown.getvalue().rstrip(), err=True)
        return errors.UsageError.code
    except click.Abort:
        echo_error("stopped")
        return 130
    except errors.RunnerError as error:
        return _told(error)
    except SystemExit as error:
        line = authors_line(error.__traceback__)
        message = f"{f'{line}: ' if line else ''}sys.exit({error.code!r}) was called while it was loaded"
        return _told(errors.FlowFailed(message))
    except OSError as error:  # a full disk, or a standard output that takes no more
        refused = f"this machine refused something: {error}"
        return _told(errors.EnvironmentWrong(refused, hint="Make room, or look at the path."))
    except Exception as error:  # noqa: BLE001 - a traceback helps nobody who did not write it
        return _told(errors.InternalError(f"a bug in runner: {error!r}", hint="Please report it."))


def _told(error: errors.RunnerError) -> int:
    """Return the exit code of an error, which is told."""
    hide_named(process_environ())
    document = {"error": type(error).__name__, "message": redact(str(error)), "exit_code": error.code}
    with suppress(OSError):  # of a standard output that takes no more
        if "--json" in sys.argv:
            echo_json(document)
            return error.code
    echo_error(redact(str(error)))
    return error.code


def _become_program(arguments: list[str]) -> None:
    """In an image, become the program that is no command of runner's: ``docker run -it org/runner:aws bash``."""
    in_image = "RUNNER_IMAGE" in process_environ()
    if in_image and arguments and arguments[0] not in cli.commands and (program := shutil.which(arguments[0])):
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and a shell should not
            signal.signal(number, signal.SIG_DFL)
        try:
            os.execv(program, arguments)  # noqa: S606 - what the user asked for, without a shell
        except OSError as error:
            raise errors.UsageError(f"{program} cannot be run: {error.strerror}") from error
