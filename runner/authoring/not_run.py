"""What stands for a report while a flow's file is imported, and nothing is run."""

from __future__ import annotations

from typing import NoReturn

from runner.errors import UsageError

_USED = """
    bool bytes complex contains float index int iter len next fspath reduce_ex enter
    eq ne lt le gt ge add radd sub rsub mul rmul truediv rtruediv floordiv mod and or neg abs round
"""


class NotRun:
    """Has all attributes, can be called, which gives the same again, and printed; what needs its value is refused."""

    def __getattr__(self, name: str) -> NotRun:
        """Stand for any attribute, but for those by which others look what it can do."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: object, **__: object) -> NotRun:
        """Stand for what a method of a report gives."""
        return self

    def __getitem__(self, _: object) -> NotRun:
        """Stand for a part of a result."""
        return self

    def __repr__(self) -> str:
        """Return what it is: it is printed as often as not."""
        return "<what a run would have given>"

    def __format__(self, _: str) -> str:
        """Return what it is, in any format."""
        return repr(self)

    __hash__ = object.__hash__


def _refuse(*_: object, **__: object) -> NoReturn:
    message = "what flow.run() gives is used while the flow's file is imported, where nothing is run"
    raise UsageError(message, hint="Put that below «if __name__ == '__main__':».")


for _name in _USED.split():
    setattr(NotRun, f"__{_name}__", _refuse)
