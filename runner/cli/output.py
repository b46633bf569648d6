"""A file that a command writes because its user names it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from runner.backends.local.private import create_file
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def output_file(output: Path) -> Iterator[IO[bytes]]:
    """Write a file of this user alone: it is there, whole, when the block ends, and not at all if the block raises.

    Raises UsageError for what is no plain file, or cannot be written.
    """
    if output.is_dir():
        message = f"{output} is a folder"
        raise UsageError(message, hint="Name a file in it.")
    if (output.exists() and not output.is_file()) or _is_device(output):
        message = f"{output} is no plain file"
        raise UsageError(message, hint="Choose another one, or - for standard output.")
    temporary = None
    try:
        descriptor, temporary = create_file(str(output.parent), output.name)
        with os.fdopen(descriptor, "wb") as file:
            yield file
        Path(temporary).replace(output)
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror}"
        raise UsageError(message, hint="Choose another file.") from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def _is_device(path: Path) -> bool:
    """Return whether a path is one of those by which the kernel names devices and open files: ``/dev/stdout``."""
    folder = path.parent.resolve()
    return not folder.is_relative_to("/dev/shm") and any(map(folder.is_relative_to, ("/dev", "/proc")))  # noqa: S108
