"""The command line. A container that runs a flow imports nothing of it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from io import StringIO, TextIOWrapper

import click

from runner import errors
from runner.cli.build import build
from runner.cli.check import check
from runner.cli.doctor import doctor
from runner.cli.format import echo_block, echo_error, echo_json
from runner.cli.inspect import inspect
from runner.cli.keys import keygen, sign, verify
from runner.cli.logs import logs
from runner.cli.ls import ls
from runner.cli.promote import promote
from runner.cli.result import result
from runner.cli.run import retry, run
from runner.cli.show import show
from runner.cli.version import version
from runner.environ import process_environ
from runner.publishing.untimely_end import untimely_end_told
from runner.secrets.named import hide_named
from runner.secrets.redaction import redact
from runner.tracebacks import authors_line
from runner.version import __version__

_HELP = """Run a Python flow from a bucket; without a command, that of RUNNER_LOCATION. A LOCATION is a URL or a path, a
RUN its folder's URL, or its id."""


@click.group(help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="runner %(version)s", hidden=True)
def cli() -> None:
    """Group the commands; its help is ``_HELP``."""


for command in (
    run,
    retry,
    build,
    promote,
    check,
    doctor,
    inspect,
    ls,
    show,
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

    With ``--json`` an error of runner's is a document on standard output.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # what the terminal's encoding does not know is no reason to end
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        _become_program(sys.argv[1:])
        with untimely_end_told(_tell):
            return int(cli.main(prog_name="runner", standalone_mode=False) or 0)
    except click.ClickException as error:
        shown = StringIO()
        error.show(shown)
        echo_block(shown.getvalue().rstrip(), err=True)
        return errors.UsageError.code
    except click.Abort:
        echo_error("stopped")
        return 130
    except errors.RunnerError as error:
        _tell(error)
        return error.code
    except SystemExit as error:
        line = authors_line(error.__traceback__)
        _tell(
            errors.FlowFailed(f"{f'{line}: ' if line else ''}sys.exit({error.code!r}) was called while it was loaded")
        )
        return errors.FlowFailed.code
    except OSError as error:  # a full disk, or a standard output that takes no more
        echo_error(redact(f"this machine refused something: {error}. Make room, or look at the path."))
        return errors.EnvironmentWrong.code
    except Exception as error:  # noqa: BLE001 - a traceback helps nobody who did not write it
        echo_error(redact(f"a bug in runner: {error!r}. Please report it."))
        return errors.InternalError.code


def _tell(error: errors.RunnerError) -> None:
    hide_named(process_environ())
    if "--json" in sys.argv:
        echo_json({"error": type(error).__name__, "message": redact(str(error)), "exit_code": error.code})
    else:
        echo_error(redact(str(error)))


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
