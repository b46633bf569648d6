"""An agent: takes waiting runs all of whose labels it has, launches them, and looks after them until they are over.

Whatever it does is written down before it is done, so that it may die at any moment: a marker in its folder, then the
launch's claim, then the platform's object, whose name is the launch's. Who finds it dead takes its markers, and with
them its runs. No clocks are compared: an agent is dead whose heartbeat has not changed for three of its intervals.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from runner import logs, naming
from runner.agents.neighbours import Neighbours
from runner.agents.register import turn_of
from runner.agents.runs import Prepared, Refused, Runs, known_error, may_pass
from runner.errors import BundleCorrupt, RunHeld, RunnerError, TooLarge, Untrusted
from runner.launchers.watch import Watcher
from runner.runs.documents import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.agents.queue import Queue, Waiting
    from runner.agents.register import Register
    from runner.schema.documents import AgentDocument, EndDocument, RunMarker

T = TypeVar("T")
LIST_SECONDS = 75.0  # between two looks at the queue when nobody rings: 48 listings an hour
log = logs.logger("agent")


class Habits(NamedTuple):
    """How an agent works.

    Args:
        poll: seconds between two looks at the doorbell.
        concurrency: runs that it looks after at once.
        waits: whether it looks after its runs until they are over when it is asked to stop; else others take them.
        hear: given the URL of each run that is over, or given up, what it has come to, and the key under which that is
            told, perhaps more than once.
    """

    poll: float = 2.0
    concurrency: int = 10
    waits: bool = False
    hear: Callable[[str, EndDocument, str], None] | None = None


class NoPlace(Exception):
    """A run for which there is no slot now; its arguments say of which flow, and how many that has."""


class Unsure(Exception):
    """A run of which nobody knows whether its launch was claimed, as the answer was lost."""


class Agent:
    """See the module.

    Args:
        document: what it says of itself.
        queue: where runs wait.
        register: where agents are entered.
        runs: how it launches one.
        habits: see `Habits`.
        tell: given a line for people, whenever something has happened.
    """

    def __init__(
        self,
        document: AgentDocument,
        queue: Queue,
        register: Register,
        runs: Runs,
        habits: Habits,
        tell: Callable[[str], None],
    ) -> None:
        self.document, self.queue, self.register, self.runs = document, queue, register, runs
        self.habits, self._tell = habits, tell
        self._neighbours = Neighbours(register, document, queue)
        self._over = threading.Event()
        self._news = SimpleQueue[None]()  # a run has ended, or the agent is to stop, which a signal's handler tells
        self._stops = False
        self._turn = threading.Lock()
        self._active: dict[str, threading.Thread] = {}  # by the names of their markers
        self._next: list[tuple[int, Waiting]] = []  # each with how many agents come before this one
        self._seen: dict[str, int] = {}  # how many listings in a row had an entry
        self._limits: dict[str, tuple[object, ...]] = {}  # what kept entries from a place
        self._full = set[tuple[object, ...]]()  # what has kept one from it since the last listing
        self._rung = ""
        self._asked, self._listed = float("-inf"), float("-inf")
        self._is_all = True  # that waited when the queue was listed, and not its share alone

    @property
    def id(self) -> str:
        """Its id: the name of its folder."""
        return self.document["agent"]

    def stop(self) -> None:
        """Take no more runs, and end."""
        self._stops = True
        self._news.put(None)

    def work(self) -> None:
        """Work until it is asked to stop. Raises as `Register.enter`."""
        self.register.enter(self.document)
        self.queue.ring()  # so that the others learn of it
        self._neighbours.look()
        beats = threading.Thread(target=self._beat, daemon=True)
        beats.start()
        self._tell(f"agent {self.id} takes runs from {self.queue.url}")
        try:
            while not self._stops:
                try:
                    self._look()
                except RunnerError as error:
                    self._tell(f"the queue is out of reach: {error.message}")
                except Exception:  # whatever it is that lies there, the agent's runs are still to be looked after
                    log.exception("the queue is looked at again, though this was not expected")
                self._wait(self._asked + self.habits.poll - time.monotonic())
            if self.habits.waits:
                for thread in list(self._active.values()):
                    thread.join()
        finally:
            self._over.set()
            beats.join()
            self._leave()

    def _wait(self, seconds: float) -> None:
        """Wait for news, for so long at the most, and take all that there are.

        A signal's handler may have been what told them, in the middle of this: an event's lock would be its own.
        """
        with suppress(Empty):
            self._news.get(timeout=max(0.0, seconds))
            while True:
                self._news.get_nowait()

    def _leave(self) -> None:
        """Leave the register; whatever runs goes on, and the others take it from the markers that stay."""
        try:
            self.register.forget(self.id)
            self.queue.ring()
        except RunnerError as error:
            self._tell(f"agent {self.id} is not taken out of the register: {error.message}")

    def _look(self) -> None:
        """Look whether somebody has rung, or it is time to list the queue; take what there is room for."""
        if time.monotonic() - self._asked >= self.habits.poll:
            self._asked = time.monotonic()
            if (rung := self.queue.rung(self._rung)) != self._rung:
                self._neighbours.look_soon()
                self._rung, self._listed = rung, float("-inf")
        pause = LIST_SECONDS if self._next or self._is_all else self.habits.poll
        if self._has_room and (self.queue.is_due or self._is_old(pause)):
            self._list()
        while self._next and self._has_room and not self._stops:
            turn, waiting = self._next.pop(0)
            if turn and self._is_old(self.habits.poll):  # others will have taken most of these
                self._list()
            elif self._limits.get(waiting.key) not in self._full:
                self._begin(waiting)

    def _is_old(self, seconds: float) -> bool:
        """Return whether the queue was listed so long ago."""
        return time.monotonic() - self._listed >= seconds

    @property
    def _has_room(self) -> bool:
        return len(self._active) < self.habits.concurrency

    def _list(self) -> None:
        """List the runs that it may take: by priority, and among those of one its own share first.

        What others have not taken from one listing to the next is anybody's by and by: each time of twice as many.
        """
        found: list[tuple[int, Waiting]] = []
        mine, began = set(self.document["labels"]), time.monotonic()
        for name, labels in self.queue.sets().items():
            if mine.issuperset(labels) and (waiting := self.queue.waiting(name)):
                agents = self._neighbours.able(labels)
                found += [(turn_of(self.id, agents, each.run_id), each) for each in waiting]
        self._seen = {each.key: self._seen.get(each.key, 0) + 1 for _, each in found}
        self._limits = {key: limit for key, limit in self._limits.items() if key in self._seen}
        self._full = set()
        its = (one for one in found if one[0] < 2 ** (self._seen[one[1].key] - 1))
        self._next = sorted(its, key=lambda one: (one[1].rank, *one))
        self._is_all, self._listed = len(self._next) == len(found), began

    def _begin(self, waiting: Waiting) -> None:
        self._start(waiting.key, lambda: self._take(waiting.key))

    def adopt(self, marker: RunMarker) -> None:
        """Look after a run of an agent that is gone."""
        self._start(marker["entry"], lambda: self._adopt(marker))

    def _start(self, name: str, work: Callable[[], None]) -> None:
        def whole() -> None:
            try:
                work()
            except RunnerError as error:
                self._tell(f"{name.rpartition('/')[2]}: {error.message}")
            except Exception:
                log.exception("%s: this was not expected", name.rpartition("/")[2])
            finally:
                with self._turn:
                    self._active.pop(name, None)
                self._news.put(None)

        with self._turn:
            if name in self._active:
                return
            self._active[name] = thread = threading.Thread(target=whole, daemon=True)
        thread.start()

    def _take(self, key: str) -> None:
        """Take a waiting run: mark it, claim its launch, have it launched, remove its entry, look after it."""
        try:
            entry = self.queue.read(key)
        except (BundleCorrupt, TooLarge) as error:
            self._tell(error.message)
            self.queue.remove(key)
            return
        if entry is None:
            return
        marker: RunMarker = {
            "format": FORMAT,
            "token": naming.new_token(),
            "run_id": entry["run_id"],
            "home": entry["home"],
            "entry": key,
            "kind": self.document["kind"],
            "taken": naming.now(),
            "taken_by": self.id,
        }
        name = self._until_done(lambda: self.register.mark(marker))
        try:
            launched = self._launched(marker, Watcher.take)
        except RunHeld:  # somebody else has it
            self._finish(None, marker, name)
        except NoPlace as error:  # nor is there for others like it; whose run ends, rings
            self._limits[key] = error.args
            self._full.add(error.args)
            self._until_done(lambda: self.register.unmark(self.id, name))
        except Unsure as error:
            self._tell(f"run {marker['run_id']}: {error}")
            self._go_on(marker, name)
        except RunnerError:
            self._until_done(lambda: self.register.unmark(self.id, name))
            raise
        else:
            self._finish(launched, marker, name)

    def _adopt(self, marker: RunMarker) -> None:
        """Look after a run of an agent that is gone: launch it if it was not, and take up its launch if it was."""
        mine: RunMarker = {**marker, "taken_by": self.id}
        name = self._until_done(lambda: self.register.mark(mine))
        self._until_done(lambda: self.register.unmark(marker["taken_by"], name))
        self._go_on(mine, name)

    def _go_on(self, marker: RunMarker, name: str) -> None:
        """Look after a run whose launch may have been claimed: by who is gone, or by a request without an answer."""
        try:
            launched = self._until_done(lambda: self._launched(marker, lambda watcher: self._take_up(watcher, marker)))
        except NoPlace:
            self._until_done(lambda: self.queue.put_back(marker))
            self._until_done(lambda: self.register.unmark(self.id, name))
        except RunnerError:
            self._until_done(lambda: self.register.unmark(self.id, name))
            raise
        else:
            self._finish(launched, marker, name)

    def _take_up(self, watcher: Watcher, marker: RunMarker) -> bool:
        """Go on for an agent that is gone; return whether the run goes on."""
        # where it had hardly begun, what the run was given up with before is no matter
        if self.queue.is_there(marker["entry"]):
            return watcher.begin() is not None
        return watcher.take_up()

    def _finish(self, launched: Prepared | None, marker: RunMarker, name: str) -> None:
        """Look after a run, which waits no more, to its end; tell whoever is to hear of it, and then remove its marker.

        What is left undone here nobody would do: the entry may be gone, and no other agent takes this one for dead.
        """
        is_removed = False
        try:
            self.queue.remove(marker["entry"])
            is_removed = True
        except RunnerError as error:  # who looks after the run is not kept from it
            self._tell(error.message)
        if launched:
            self._look_after(launched.watcher)
        if self.habits.hear and (ended := self._until_done(lambda: self.runs.ended(marker))):
            self.habits.hear(self.runs.url_of(marker), *ended)
        if not is_removed:  # and then the run, if it was given up, would be launched again
            self._until_done(lambda: self.queue.remove(marker["entry"]))
        self._until_done(lambda: self.register.unmark(self.id, name))
        if launched and launched.concurrency:
            self.queue.ring()  # as another run may have its place

    def _until_done(self, step: Callable[[], T]) -> T:
        """Make a step, again and again while nobody answers, and return what it returns."""
        while True:
            try:
                return step()
            except Unsure as error:
                self._tell(f"{error}; it is asked again")
            except RunnerError as error:
                if not may_pass(error):
                    raise
                self._tell(f"{error.message}; it is asked again")
            time.sleep(self.document["beat"])

    def _launched(self, marker: RunMarker, launch: Callable[[Watcher], bool]) -> Prepared | None:
        """Have a run launched; None if it is over, or was given up, which has been written down.

        Raises RunHeld when somebody else has it, NoPlace when it must go on waiting, Unsure, and what the storage
        raises where nothing has been claimed yet.
        """
        try:
            prepared = self.runs.prepare(marker)
            has_place = prepared is None or self.runs.has_place(marker, prepared.concurrency)
        except Refused as error:
            self._tell(f"run {marker['run_id']} is refused: {error}")
            return None
        if prepared is None:
            return None
        watcher, concurrency = prepared
        if concurrency and not has_place:
            raise NoPlace(marker["home"], concurrency["max_runs"], concurrency["on_conflict"])
        try:
            if not launch(watcher):
                return None
        except RunHeld:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the run must not be forgotten
            if self._is_refused(watcher, known_error(error)):
                return None
        self._tell(f"looks after {watcher.launch.name}: {watcher.store.url}")
        return prepared

    def _is_refused(self, watcher: Watcher, error: RunnerError) -> bool:
        """Write down why a run cannot be launched, and return whether it never can. Raises Unsure, and RunHeld."""
        is_claimed = bool(watcher.launch.number)
        if may_pass(error):
            if not is_claimed:
                raise Unsure(error.message) from error
            return False
        if is_claimed:
            self.runs.tell_refused(watcher.store, watcher.launch, error)
        else:
            self.runs.refuse(watcher.store, error)
        self._tell(f"run {watcher.store.run_id} is refused: {error.message}")
        return True

    def _look_after(self, watcher: Watcher) -> None:
        """Look after a run until it is over, or is given up; while nobody answers, for as long as that takes."""
        try:
            end = self._until_done(watcher.until_over)
        except Untrusted as error:  # which its container, whose run it is, knows better
            self._tell(f"{watcher.launch.name}: {error.message}")
            self._until_done(watcher.finish)
        except RunnerError as error:
            self._tell(f"{watcher.launch.name}: {error.message}")
        else:
            self._tell(f"run {watcher.store.run_id} is over: {end['state']}, exit code {end['exit_code']}")

    def _beat(self) -> None:
        """Show that it lives, and take the runs of whoever does not any more."""
        number = 0
        while True:
            number += 1
            try:
                self.register.write_beat(self.document, number)
                if not self._stops:
                    for marker in self._neighbours.left_behind():
                        self.adopt(marker)
                    if not self._neighbours.is_entered:
                        self.register.enter_again(self.document)
                        self._neighbours.is_entered = True
            except RunnerError as error:
                log.warning("%s", error)
                self._neighbours.look_soon()  # what was left behind may not have been read
            except Exception:  # an agent without a heartbeat loses its runs to others
                log.exception("the register is looked at again, though this was not expected")
            if self._over.wait(self.document["beat"]):
                return
