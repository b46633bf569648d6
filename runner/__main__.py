"""The container's entry: without arguments the run that the environment names, else the command line."""

from __future__ import annotations

import sys


def main() -> int:
    """Run, and give the exit code."""
    if len(sys.argv) == 1:
        from runner.settings import process_environ
        from runner.supervisor import supervise

        return supervise(process_environ(), sys.stdout).code
    from runner.cli import main as command_line

    return command_line()


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the working directory, whose modules are none of the flow's
    sys.exit(main())
