"""Looking after a launched run: until it is over, also where its container never begins, or dies without a word.

The storage says what the run has come to, the platform what became of the container. A platform that does not answer
says nothing: what is not known is not concluded.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runner.errors import (
    AlreadyExists,
    CredentialsRefused,
    NotFound,
    NotStarted,
    RunHeld,
    RunnerError,
    Unreachable,
)
from runner.launchers.base import Sighting
from runner.launchers.budgets import HOPELESS_CODES, START_SECONDS
from runner.launchers.past import past_of
from runner.launchers.remedies import gone, named_no_runner, not_begun
from runner.launchers.start import Launch, end_launch, last_launch, make_object, next_launch, remove_left, take_launch
from runner.model.verdict import LONGEST_MESSAGE, Verdict
from runner.runs.cancelling import CancelLook, cancel_run
from runner.runs.claims import LONGEST_HEARTBEAT, MISSED_HEARTBEATS
from runner.runs.documents import concludes
from runner.runs.ends import RunFacts, commit_end, end_document
from runner.runs.layout import Claim
from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.launchers.base import Launcher, Order
    from runner.launchers.budgets import Budgets
    from runner.runs.store import RunStore
    from runner.schema.documents import ClaimDocument, DeathRecord, EndDocument, LaunchState

LOOK_SECONDS = 2.0  # between two looks at storage and platform, at the most
FIRST_LOOK_SECONDS = 0.1
REASON_SECONDS = (0.0, 3.0, 7.0)  # after which a platform is asked why a container died: the reason may come later
_STOP_SECONDS = 30.0  # that a platform may take to kill a container
_PATIENCE_SECONDS = 900.0  # for which storage and platform may be out of reach before nobody looks after the run
_MISSED_BEATS = 2  # after the grace, before the container of a cancelled run is killed
_KILLED = 137  # the exit code of what was killed, where a platform tells none
_LONGEST_PAUSE = 60.0  # seconds between two launches


class Watcher:
    """Launches a run, and looks after it until it is over.

    Args:
        store: the run.
        launcher: the platform.
        make_order: returns what the platform is asked for, for a launch.
        budgets: how long, and how often.
        grace: seconds that the flow has to stop.
        tell: given a line for people, whenever something has changed.
    """

    def __init__(
        self,
        store: RunStore,
        launcher: Launcher,
        make_order: Callable[[Launch], Order],
        budgets: Budgets,
        grace: float,
        tell: Callable[[str], None],
    ) -> None:
        self.store, self.launcher, self.make_order = store, launcher, make_order
        self.budgets, self.grace, self._tell = budgets, grace, tell
        self._launch: Launch | None = None
        self.is_taken_up = False  # whether somebody had launched it before; see `runner.launchers.launch.launch`
        self._began = 0.0
        self._pause = FIRST_LOOK_SECONDS
        self._told = ""
        self._kill_at: float | None = None  # as somebody has cancelled the run
        self._heard: tuple[bytes | None, float] | None = None  # the last heartbeat that was seen, and when
        self._attempts = 0  # that were seen to have claims, since the launch was made
        self._claim: ClaimDocument | None = None  # of the last one that the launch has made
        self._unstarted = self._died = 0
        self._is_unmade = False  # whether the platform was not reached when it was to make the launch's object
        self._unheard: float | None = None  # since when storage or platform is out of reach
        self._cancel = CancelLook(store, tell)

    @property
    def launch(self) -> Launch:
        """The launch that is looked after; of a run that is over and was not launched, a number and name of none."""
        return self._launch or Launch(0, "")

    def begin(self) -> Launch | None:
        """Launch the run, or take up the launch that is under way; None if the run is over. Raises as `make_object`.

        Where the platform has no room now it is launched again, as if it had not begun.
        """
        if self._launch is None:
            remove_left(self.store, self.launcher)
        if self.store.read_outcome():
            self._launch = last_launch(self.store, self.launcher.kind)
            return self._launch
        if launch := next_launch(self.store, self.launcher, self._image):
            self._make(launch)
        return launch and self.launch

    def take(self) -> bool:
        """Launch a run that nobody looks after; return whether it is not over yet. Raises as `begin`, and RunHeld."""
        if self.store.read_outcome():
            return False
        if launch := take_launch(self.store, self.launcher, self._image):
            self._make(launch)
        return launch is not None

    def take_up(self) -> bool:
        """Go on for whoever is gone, with its budgets; return whether the run goes on. Raises as `begin` and `look`."""
        remove_left(self.store, self.launcher)
        self._unstarted, self._died, last, sighting, end = past_of(self.store)
        if last is None or self.store.read_outcome():
            return self.begin() is not None
        self._launch = last
        return self._again(sighting, end) is None

    @property
    def _image(self) -> str | None:
        return self.make_order(Launch(0, "")).image or None

    def _make(self, launch: Launch) -> None:
        self._launch, self._is_unmade = launch, True
        try:
            make_object(self.store, self.launcher, self.launch, self.make_order)
        except NotStarted as error:
            self._is_unmade = False
            sighting = Sighting("absent", "NoCapacity", error.message)
            self._close("never started", sighting, [], None)
        else:
            self._is_unmade = False
            self._began, self._heard, self._pause = time.monotonic(), None, FIRST_LOOK_SECONDS
            self._attempts, self._claim = 0, None

    def until_claimed(self) -> EndDocument | None:
        """Wait until a launch has claimed an attempt, or the run is over: return its end then. Raises as `look`."""
        while True:
            with self._patience():
                if (end := self.look()) or self._claim:
                    return end
            self._wait()

    def until_over(self) -> EndDocument:
        """Wait until the run is over, or its attempt has ended and it is not launched again. Raises as `look`."""
        while True:
            with self._patience():
                if end := self.look():
                    return end
            self._wait()

    def look(self) -> EndDocument | None:
        """Look once, and do what is due; return what the run has come to, if it has.

        That is its outcome, or the end of its last attempt where no launches are left. Raises NotStarted when none that
        is allowed has begun, RunHeld when somebody else works on the run, and what storage and platform raise.
        """
        if outcome := self.store.read_outcome():
            self.finish()
            return outcome
        if self._is_unmade:
            self.begin()
            return None
        claim, sighting = self._find_claim(), self._sighting()
        if claim is None and sighting.text != self._told:
            self._told = sighting.text
            self._tell(f"{self.launch.name} is {sighting.phase}{_after(sighting)}")
        if self._is_due_to_die(claim) and sighting.phase in {"waiting", "running"}:
            self.launcher.stop(self.launch.name, 0)
        elif claim is None and sighting.phase in {"waiting", "running"}:
            return self._wait_for_start(sighting)
        elif sighting.phase == "ended":
            return self._on_ended(sighting)
        elif sighting.phase in {"absent", "running"} and (claim is None or self._is_silent(claim)):
            return self._on_gone(claim, sighting)
        return None

    def _find_claim(self) -> ClaimDocument | None:
        """Return the claim of the last attempt that this launch has made, if any; reads cost less than listings."""
        while claim := self.store.read_claim(self._attempts + 1):
            self._attempts += 1
            if claim.get("launch") == self.launch.number:
                self._claim = claim
        return self._claim

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """Let storage and platform be out of reach for a while, in which the run goes on; then raise that."""
        try:
            yield
        except RunnerError as error:
            if not error.transient:
                raise
            now = time.monotonic()
            if self._unheard is None:
                self._unheard = now
                self._tell(f"{error.message}; it is asked again")
            if now - self._unheard > _PATIENCE_SECONDS:
                raise
        else:
            self._unheard = None

    def _wait(self) -> None:
        """Wait a little while until the next look, and longer each time."""
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, LOOK_SECONDS)

    def _sighting(self) -> Sighting:
        try:
            return self.launcher.describe(self.launch.name)
        except (Unreachable, CredentialsRefused) as error:
            return Sighting("unknown", message=error.message)

    def _log(self) -> list[str]:
        try:
            return self.launcher.logs(self.launch.name)
        except (Unreachable, CredentialsRefused):
            return []

    def _is_silent(self, claim: ClaimDocument) -> bool:
        """Return whether an attempt has given no sign of life for three heartbeats, by this process's clock."""
        beat, now = self.store.read_heartbeat(claim["attempt"]), time.monotonic()
        if self._heard is None or self._heard[0] != beat:
            self._heard = beat, now
        return now - self._heard[1] > MISSED_HEARTBEATS * _interval(claim)

    def _is_due_to_die(self, claim: ClaimDocument | None) -> bool:
        """Return whether the run is cancelled, and had its time to end by itself."""
        if self._kill_at is None and self._cancel.is_asked():
            patience = self.grace + _MISSED_BEATS * _interval(claim) if claim else 0.0
            self._kill_at = time.monotonic() + patience
        return self._kill_at is not None and time.monotonic() >= self._kill_at

    def _wait_for_start(self, sighting: Sighting) -> EndDocument | None:
        """Remove a launch that takes too long to begin, see that it is gone, and only then make another one."""
        limit = self.budgets.start_timeout
        if limit is None and sighting.is_queued:
            self._began = time.monotonic()
        if time.monotonic() - self._began < (limit or START_SECONDS) and not sighting.is_hopeless:
            return None
        log = self._log()
        self.launcher.stop(self.launch.name, 0)
        self.launcher.remove(self.launch.name)
        while self._sighting().phase not in {"absent", "ended"}:
            time.sleep(LOOK_SECONDS)
        if self._find_claim():  # it began just now, and was killed
            return None
        return self._close("never started", sighting, log, None)

    def _on_ended(self, sighting: Sighting) -> EndDocument | None:
        """Write down what a container that has ended left unsaid, and launch the run again if that is allowed."""
        for seconds in REASON_SECONDS:
            time.sleep(seconds)
            if outcome := self.store.read_outcome():
                self.finish()
                return outcome
            later = self._sighting()
            sighting = later if later.phase == "ended" else sighting
            claim = self._find_claim()
            has_ended = claim and self.store.read_end(claim["attempt"])
            if sighting.reason or has_ended or (claim is None and sighting.exit_code in HOPELESS_CODES):
                break
        if claim is None:
            sighting = named_no_runner(sighting, self._image)
        log = self._log()
        verdict = Verdict("crashed", sighting.exit_code or _KILLED, gone(sighting, log), "Crashed", death=_death(log))
        end = self._end_attempt(claim, verdict) if claim else None
        return self._close("ended" if self._kill_at is None else "stopped", sighting, log, end)

    def _on_gone(self, claim: ClaimDocument | None, sighting: Sighting) -> EndDocument | None:
        """Write down that a container gives no sign of life, and launch the run again if that is allowed.

        The platform knows nothing of it any more, or takes it for running, as where its machine is lost.
        """
        if sighting.phase == "running":
            self.launcher.stop(self.launch.name, 0)
        message = f"{self.launch.name} on {self.launcher.kind} is {sighting.phase}, and gives no sign of life"
        end = self._end_attempt(claim, Verdict("lost", _KILLED, message, "Lost")) if claim else None
        return self._close("gone", sighting, [], end)

    def _end_attempt(self, claim: ClaimDocument, verdict: Verdict) -> EndDocument:
        """Return the end of an attempt whose container is gone; write this one, if it could write none."""
        if end := self.store.read_end(claim["attempt"]):
            return end
        request = self.store.read_request()
        if request is None:
            message = f"{self.store.url} is gone, or its run.json is"
            raise NotFound(message, hint="Somebody removed it: look who. Its container is gone as well.")
        verdict = verdict._replace(message=redact(verdict.message)[:LONGEST_MESSAGE])
        held = Claim(claim["attempt"], claim["started"], claim["token"])
        facts = RunFacts(None, request["bundle"])
        end = end_document(self.store.run_id, held, facts, verdict, signer=self.store.signer)
        if not self.store.believes_own:  # the next start finds by itself that this one is lost
            return end
        try:
            commit_end(self.store, end)
        except (AlreadyExists, RunHeld):  # it could, just now
            return self.store.read_end(claim["attempt"]) or end
        return end

    def _close(
        self, state: LaunchState, sighting: Sighting, log: list[str], end: EndDocument | None
    ) -> EndDocument | None:
        """Write down what became of the launch, remove what is left of it, and go on as `_again`."""
        given_up = self._is_last(sighting, end) and not self._cancel.is_asked()
        end_launch(self.store, self.launch, state, sighting, log, given_up=given_up)
        if sighting.phase in {"ended", "running"}:
            self.launcher.remove(self.launch.name)
        return self._again(sighting, end)

    def _is_last(self, sighting: Sighting, end: EndDocument | None) -> bool:
        """Return whether no other launch follows, though the run is not over; see `_again`."""
        code = end["exit_code"] if end else sighting.exit_code
        if (end and concludes(end)) or (end is None and code == RunHeld.code):
            return False
        is_spent = self._died >= self.budgets.restarts if end else self._unstarted >= self.budgets.start_retries
        return is_spent or sighting.is_hopeless or code in HOPELESS_CODES

    def _again(self, sighting: Sighting, end: EndDocument | None) -> EndDocument | None:
        """Launch the run once more, if a budget allows it; else return what it came to.

        ``end`` is that of the attempt that died; None if none began.
        """
        if end and concludes(end):
            self.store.create_outcome(end)
            return end
        if self._cancel.is_asked():
            return cancel_run(self.store, None, within=0.0, interval=1.0)
        if end is None and sighting.exit_code == RunHeld.code:
            message = f"{self.launch.name} found run {self.store.run_id} held by another start"
            raise RunHeld(message, hint="runner show tells by whom.")
        if self._is_last(sighting, end):
            if end is not None:
                return end
            raise self._not_begun(sighting)
        self._died += end is not None
        self._unstarted += end is None
        used = self._died if end else self._unstarted
        pause = min(LOOK_SECONDS * 2 ** (used - 1), _LONGEST_PAUSE)
        self._tell(
            f"{self.launch.name} is {sighting.phase}{_after(sighting)}; the run is launched again in {pause:g} s"
        )
        time.sleep(pause)
        self.begin()
        return None

    def _not_begun(self, sighting: Sighting) -> RunnerError:
        told = self.store.read_launch_end(self.launch.number)
        log = told["log"] if told else []
        return not_begun(self.launch.number, sighting.reason, sighting.text, sighting.exit_code, log)

    def finish(self) -> None:
        """Write down how the container of a run that is over ended, and remove what is left of it."""
        launch = self._launch
        if launch is None:
            return
        if self.store.read_launch_end(launch.number):  # by somebody else, or by this one without an answer
            remove_left(self.store, self.launcher)
            return
        sighting = self._until_gone(self.grace)
        if sighting.phase in {"waiting", "running"}:  # its run is over, and whatever it still does is for nothing
            self.launcher.stop(launch.name, 0)
            sighting = self._until_gone(_STOP_SECONDS)
        if sighting.phase == "ended":
            end_launch(self.store, launch, "ended" if self._kill_at is None else "stopped", sighting, [])
            self.launcher.remove(launch.name)
        elif sighting.phase == "absent":
            end_launch(self.store, launch, "gone", sighting, [])

    def _until_gone(self, seconds: float) -> Sighting:
        """Wait until a container is not waiting or running any more, for so long at the most."""
        until = time.monotonic() + seconds
        while (sighting := self._sighting()).phase in {"waiting", "running"} and time.monotonic() < until:
            time.sleep(LOOK_SECONDS / 4)
        return sighting


def _interval(claim: ClaimDocument) -> float:
    """Return the seconds between two heartbeats, within bounds: nobody signs a claim."""
    return min(claim["beat"] or LONGEST_HEARTBEAT, LONGEST_HEARTBEAT)


def _death(log: list[str]) -> DeathRecord | None:
    return {"trace": None, "log": redact("\n".join(log)), "peak_memory": None, "memory": None} if log else None


def _after(sighting: Sighting) -> str:
    return f": {sighting.text}" if sighting.text != sighting.phase else ""
