"""Where launchers run a flow: the image and the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class LocalEnvironment:
    """Run the flow in one container of an image.

    Args:
        metadata: ``{"image": "org/runner:aws"}``; other entries are for launchers.
        labels: words that an agent must have to run the flow, added to the storage's.

    Raises:
        UsageError: when ``labels`` is one text instead of a list of words.

    Example:
        >>> from runner import Flow
        >>> from runner.environments import LocalEnvironment
        >>> flow = Flow("etl", environment=LocalEnvironment(metadata={"image": "org/runner:aws"}, labels=["gpu"]))
        >>> flow.environment.image, flow.environment.labels
        ('org/runner:aws', ('gpu',))
    """

    def __init__(self, *, metadata: Mapping[str, Any] | None = None, labels: Sequence[str] = ()) -> None:
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
