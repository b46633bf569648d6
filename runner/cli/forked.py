"""Reading a storage before a run starts, in a process of its own."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from runner import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import DataclassInstance

    Read = TypeVar("Read", bound=DataclassInstance)


def in_forked_process(kind: type[Read], read: Callable[[], Read]) -> Read:
    """Call ``read`` in a child process: it starts obstore's threads, which a later fork for the flow would lose.

    It returns a dataclass of ``kind``, which comes back as JSON; its fields must be of JSON's types.
    Raises the RunnerError that is raised there, and InternalError for any other.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            answer: dict[str, Any] = {"value": asdict(read())}
        except errors.RunnerError as error:
            answer = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
        except BaseException as error:  # noqa: BLE001 - it is raised where this process is waited for
            answer = {"error": "InternalError", "message": f"a bug in runner: {error!r}", "hint": "Please report it."}
        with os.fdopen(writer, "w", encoding="utf-8") as file:
            json.dump(answer, file)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as file:
        answer = json.loads(file.read() or "{}")
    os.waitpid(child, 0)
    if "value" not in answer:
        error_class = errors.from_name(answer.get("error", "InternalError"))
        raise error_class(answer.get("message", "the run could not be looked at"), hint=answer.get("hint", ""))
    return kind(**answer["value"])
