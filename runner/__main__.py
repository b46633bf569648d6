"""The container's entry point: without arguments the run that the environment names, else the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

_HELP = """
This is runner. It runs a Python flow that lies in a bucket, or a folder, and wants to be told where:

    docker run -e RUNNER_STORAGE=s3 -e RUNNER_LOCATION=my-flows/etl --env-file credentials {aws}
    docker run -e RUNNER_STORAGE=local -e RUNNER_LOCATION=/flows/etl -v ~/.runner/flows:/flows \\
      --user "$(id -u)" {slim}

«runner --help» lists what else it does, docs/running.md all variables."""


def main() -> NoReturn:
    """Run what was asked for, and end this process with its exit code."""
    if len(sys.argv) == 1:
        import gc

        gc.disable()  # all that is imported before the fork stays: the supervisor freezes it there
        from runner.environ import process_environ
        from runner.settings import names_no_flow
        from runner.supervisor.supervise import supervise

        environ = process_environ()
        code = supervise(environ, sys.stdout).code
        if names_no_flow(environ):
            from runner.images import image_of

            text = _HELP.format(aws=image_of("aws"), slim=image_of("slim"))
            print(text, file=sys.stderr)  # noqa: T201 - for a person; standard output has the log
        _leave(code)
    from runner.cli import main as command_line

    _leave(command_line())


def _leave(code: int) -> NoReturn:
    """End this process without the interpreter's farewell: all is stored and told.

    That takes as long as its start, and it aborts the process where a thread is still inside obstore.
    """
    import os
    from contextlib import suppress

    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # nobody reads any more, it is closed, or there is none
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the working directory, whose modules are none of the flow's
    main()
