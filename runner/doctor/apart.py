"""Checks that may run an author's code, in a process of their own: whatever it does, they are told."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from runner.doctor.checks import check_of, error_with_code, failed_check
from runner.errors import FlowFailed, InternalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runner.doctor.checks import Check

_DONE = "done\n"


def made_apart(about: str, checks: Callable[[], Iterable[Check]]) -> list[Check]:
    """Make checks in a child process, before this one has threads; a death is one more check that failed.

    What an author's code prints there goes to standard error. A process that has used obstore before makes them itself,
    as a child's requests would wait for threads that no fork copies.
    """
    if "obstore" in sys.modules:
        return list(checks())
    if sys.stdout is not None:
        sys.stdout.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        with os.fdopen(writer, "w", encoding="utf-8", buffering=1) as file:
            _tell(about, checks, file.write)
    os.close(writer)
    made, is_done = [], False
    with os.fdopen(reader, encoding="utf-8") as file:
        for line in file:  # not to its end, which whatever the author's code started may hold back
            if is_done := line == _DONE:
                break
            made.append(check_of(json.loads(line)))
    _, status = os.waitpid(child, 0)
    return made if is_done else [*made, _died(about, status)]


def _tell(about: str, checks: Callable[[], Iterable[Check]], write: Callable[[str], object]) -> None:
    try:
        os.dup2(2, 1)
        for check in checks():
            write(f"{json.dumps(check.document())}\n")
    except BaseException as error:  # noqa: BLE001 - it is told where this process is waited for
        bug = InternalError(f"a bug in runner: {error!r}", hint="Please report it.")
        write(f"{json.dumps(failed_check(about, 'load', bug).document())}\n")
    write(_DONE)
    os._exit(0)


def _died(about: str, status: int) -> Check:
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        message = f"the process that loads the flow was ended by signal {-code}"
        return failed_check(about, "load", error_with_code(128 - code, message, "Is memory short? Look what it loads."))
    message = f"the flow ended its process with code {code} while it was loaded"
    return failed_check(about, "load", FlowFailed(message, hint="Leave os._exit out of its modules."))
