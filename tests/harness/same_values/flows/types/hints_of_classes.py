"""Hints of classes and methods, with Literal, Annotated and a default: cloudpickle #171."""

from typing import Annotated, ClassVar, Literal, Optional, get_args, get_type_hints

from runner import Flow, task


class Settings:
    mode: Literal["a", "b"] = "a"
    size: Annotated[int, "metres"] = 1
    seen: ClassVar[list[str]] = []

    def scaled(self, by: Optional[float] = None) -> "Settings":
        return self


@task
def hints():
    found = get_type_hints(Settings, include_extras=True)
    return str(found), get_args(found["mode"]), get_type_hints(Settings.scaled)["return"] is Settings


with Flow("hints of classes") as flow:
    hints()
