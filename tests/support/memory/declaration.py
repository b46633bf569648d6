"""What an author writes down of a bucket in memory."""

from __future__ import annotations

from runner.authoring.declaration import BucketDeclaration
from support.memory import MEMORY


class Memory(BucketDeclaration):
    """A bucket in this process's memory."""

    backend = MEMORY
