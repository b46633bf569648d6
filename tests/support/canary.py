"""A flow that leaves a trace when any of it is executed, and a place in which somebody attacks it."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from typing import TYPE_CHECKING, Any

import cloudpickle

from runner.bundle import archive
from runner.bundle.member_names import FLOW
from runner.signing import keys
from support.flows import located
from support.starting import Ran, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runner.signing.keys import PrivateKey
    from support.places import Place

VERSION = "2026-11-22t12-10-24-845190-00-00"
NEWER = "2026-12-24t00-00-00-000000-00-00"
SLUG = "payroll"
KEY = f"{SLUG}/{VERSION}"
AUTHOR = keys.PrivateKey(hashlib.sha256(b"author").digest())  # fixed, so that the names of tests are
FLOWS, RUNS, ALIASES = (keys.PrivateKey(hashlib.sha256(f"for {role}".encode()).digest(), role) for role in keys.ROLES)
MALLORY = keys.PrivateKey(hashlib.sha256(b"mallory").digest())


class Canary:
    """Its file is there once anything of the attacker's was executed: unpickled, or imported."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "executed"
        self.pickled = cloudpickle.dumps(Opened(str(self.path)))
        self.source = f"open({str(self.path)!r}, 'w').close()\n".encode()

    @property
    def executed(self) -> bool:
        return self.path.exists()


class Opened:
    """Creates a file when it is unpickled, and returns its descriptor."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.open, (self.path, os.O_CREAT | os.O_WRONLY)


def facts_of(flow: str = SLUG, version: str = VERSION, **changed: Any) -> Any:
    """Return the manifest of a flow that fits this Python and needs nothing."""
    minor = ".".join(platform.python_version_tuple()[:2])
    manifest: dict[str, Any] = {
        "flow": {"name": flow, "version": version},
        "python": {"version": f"{minor}.0", "implementation": sys.implementation.name},
        "cloudpickle": "3.1.2",
        "runner": "0.1.0",
        "requires": [],
        "parameters": [],
        "tasks": [],
        "labels": [],
        "image": None,
        "secrets": [],
    }
    return manifest | changed


class Target:
    """A place whose container trusts the author's key alone, with bundles that would let the canary sing."""

    def __init__(self, place: Place, canary: Canary) -> None:
        self.place, self.canary = place, canary
        self.trusting = {"RUNNER_TRUSTED_KEYS": AUTHOR.public.text}

    def bundle(
        self, key: PrivateKey | None = AUTHOR, flow: str = SLUG, version: str = VERSION, **changed: Any
    ) -> bytes:
        members = {FLOW: self.canary.pickled, "src/mod.py": self.canary.source}
        return archive.write_bundle(facts_of(flow, version, **changed), members, key)

    def built_for(self, place: str, flow: str = SLUG, version: str = VERSION, key: PrivateKey | None = AUTHOR) -> bytes:
        """Return what a build stores at a place; `bundle` is without it, as bundles were before they named theirs."""
        members = {FLOW: self.canary.pickled}
        reference = {"name": flow, "version": version, "key": place}
        return archive.write_bundle(facts_of() | {"flow": reference}, members, key)

    def put(self, data: bytes, key: str = KEY) -> None:
        self.place.write(key, data)

    def run(self, location: str = KEY, **environ: str) -> Ran:
        return start(located(self.place, location) | self.trusting | environ)

    def check(self, location: str = KEY, **environ: str) -> Ran:
        return start(located(self.place, location) | self.trusting | environ, "check")

    def refuses(self, code: int, *words: str, location: str = KEY, **environ: str) -> None:
        """See that loading is refused for this reason, in `check` and in a run, and that nothing was executed."""
        checked = self.check(location, **environ)
        assert checked.code == code, checked
        assert all(word in checked.stderr for word in words), checked.stderr
        assert not self.canary.executed
        ran = self.run(location, **environ)
        assert ran.code == code, ran
        assert not self.canary.executed

    def accepts(self, location: str = KEY, **environ: str) -> None:
        """See that loading goes as far as unpickling: the canary sings."""
        assert self.check(location, **environ).code == 65, "the canary is no flow"
        assert self.canary.executed
        self.canary.path.unlink()
