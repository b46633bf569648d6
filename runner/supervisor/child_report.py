"""What the flow's process has told the supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.model.verdict import Verdict
    from runner.runs.layout import Claim, RunPlace
    from runner.runtime.messages import Message
    from runner.schema.documents import BundleReference
    from runner.schema.progress import Progress


class ChildReport:
    """What the flow's process has told so far.

    ``claim`` is that of an attempt that needs an end; ``attempt`` its number also when it has one.
    """

    def __init__(self) -> None:
        self.place: RunPlace | None = None
        self.flow: str | None = None
        self.bundle: BundleReference | None = None
        self.folder: str | None = None
        self.request_digest: str | None = None
        self.claim: Claim | None = None
        self.attempt: int | None = None
        self.has_begun = False
        self.progress: Progress | None = None
        self.is_end_saved = False
        self.verdict: Verdict | None = None

    def take(self, message: Message) -> None:
        """Note a message."""
        match message["kind"]:
            case "run located":
                self.place, self.flow, self.bundle = message["place"], message["flow"], message["bundle"]
            case "bundle verified":
                self.request_digest = message["request_digest"]
            case "modules unpacked":
                self.folder = message["folder"]
            case "claim announced":
                self.claim, self.attempt = message["claim"], message["claim"].attempt
            case "claim withdrawn":
                self.claim = self.attempt = None
            case "flow began":
                self.flow, self.has_begun = message["flow"], True
                import shutil  # noqa: F401 - it removes the folder; to import them later would hold up the end

                import runner.logs  # noqa: F401
            case "end saved aside":
                self.is_end_saved = True
            case "attempt ended":
                self.claim, self.verdict = None, message["verdict"] or self.verdict
            case "finished":
                self.verdict = message["verdict"]
