"""What must be so before objects of Prefect's are unpickled: its version, and where its log lines go."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runner.environ import set_default
from runner.errors import Incompatible
from runner.images import own_image

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of a pickle without an envelope: what only the pickles of some versions name, and a requirement that they meet.
_MARKS = [
    (b"prefect.core.flow", "==1.4.1"),
    (b"ConcurrentTaskRunner", ">=2,<3"),
    (b"ThreadPoolTaskRunner", ">=3,<4"),
]


def required_version(pickled: bytes, told: str | None) -> str:
    """Return which Prefect a pickle needs, as a version or a requirement without the name; empty if none.

    ``told`` is what its envelope says, if it has one that does.
    """
    if b"prefect." not in pickled:
        return ""
    return told or next((version for mark, version in _MARKS if mark in pickled), "")


def check_version(version: str, image: str) -> None:
    """Refuse what another major version of Prefect made than is installed; of Prefect 1 the 0.x are a part.

    ``version`` is ``1.4.1``, or a requirement like ``>=2,<3``. Raises Incompatible, which names the lines that help.
    """
    if not (found := re.match(r"(?:[=>]=)?((\d+)[\d.]*(?:,<\d+)?)", version)):
        return
    here = _installed_version()
    if here is not None and _generation(here) == _generation(found[2]):
        return
    pin = found[0] if found[0][0] in "=>" else f"=={found[0]}"
    has = f"Prefect {here}" if here else "none"
    message = f"the flow was made with Prefect {found[1]}, and this image has {has}"
    raise Incompatible(message, hint=own_image(image, f"'prefect{pin}'" if "<" in pin else f"prefect{pin}"))


def _generation(version: str) -> int:
    return max(1, int(version.partition(".")[0]))


def _installed_version() -> str | None:
    from importlib import metadata

    for name in ("prefect", "prefect-client"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


@contextmanager
def logging_as_ours() -> Iterator[None]:
    """Let what Prefect logs come as our lines, once each; it is imported in the block, or later by a task.

    Prefect 2 and 3 take the root logger's handlers away when they are imported, whenever that is, unless another
    configuration is named: https://docs.prefect.io/v3/advanced/logging-customization. Prefect 1 adds its own handler.
    """
    set_default("PREFECT_LOGGING_SETTINGS_PATH", __file__.replace("prefect_setup.py", "prefect_logging.yml"))
    yield
    if "prefect.utilities.logging" in sys.modules:  # of Prefect 1 alone
        import logging

        for name in ["prefect", *sys.modules["prefect"].config.logging.get("extra_loggers", [])]:
            logger = logging.getLogger(name)
            logger.handlers = [each for each in logger.handlers if type(each) is not logging.StreamHandler]
