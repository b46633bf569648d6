"""Where launchers run a flow: the image and the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class LocalEnvironment:
    """Run the flow in one container of an image.

    Args:
        metadata: ``{"image": "org/runner:aws"}``; other entries are kept for launchers.
        labels: words that an agent must have to run the flow, added to the storage's.
    """

    def __init__(self, *, metadata: Mapping[str, Any] | None = None, labels: Sequence[str] = ()) -> None:
        """See the class."""
        if isinstance(labels, str):
            message = "labels take a list of words, not one text"
            raise UsageError(message)
        self.metadata = dict(metadata or {})
        self.labels = tuple(labels)

    @property
    def image(self) -> str | None:
        """The image's name, if one was given."""
        image: str | None = self.metadata.get("image")
        return image
