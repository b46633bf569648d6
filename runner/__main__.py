"""The container's entry point: without arguments the run that the environment names, else the command line."""

from __future__ import annotations

import sys

_HELP = """
This is runner. It runs a Python flow that lies in a bucket, or a folder, and wants to be told where:

    docker run -e RUNNER_STORAGE=s3 -e RUNNER_LOCATION=my-flows/etl --env-file credentials org/runner:aws
    docker run -e RUNNER_STORAGE=local -e RUNNER_LOCATION=/flows/etl -v ~/.runner/flows:/flows \\
      --user "$(id -u)" org/runner:slim

«runner --help» lists what else it does, the README all variables."""


def main() -> int:
    """Run what was asked for, and return the exit code."""
    if len(sys.argv) == 1:
        from runner.environ import process_environ
        from runner.settings import names_no_flow
        from runner.supervisor.supervise import supervise

        environ = process_environ()
        code = supervise(environ, sys.stdout).code
        if names_no_flow(environ):
            print(_HELP, file=sys.stderr)  # noqa: T201 - for a person; standard output has the log
        return code
    from runner.cli import main as command_line

    return command_line()


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the working directory, whose modules are none of the flow's
    sys.exit(main())
