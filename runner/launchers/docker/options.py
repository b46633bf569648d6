"""What may be said of a container on a Docker engine, read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.environments import read_size
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORDS = {
    "pull": ("missing", "always", "never"),
    "remove": ("ended", "auto", "never"),
    "render": ("run", "compose"),
}
_MOST_PARTS = 3  # of a volume: source, target and options


class Options(NamedTuple):
    """The options of `runner.launchers.Docker` but its engine; there it says what each one means."""

    pull: str
    network: tuple[str, ...]
    volumes: tuple[str, ...]
    user: str
    read_only: bool
    extra_hosts: tuple[str, ...]
    env_file: tuple[str, ...]
    remove: str
    shm_size: int | None
    platform: str
    runtime: str
    cap_drop: tuple[str, ...]
    security_opt: tuple[str, ...]
    limit_disk: bool
    render: str


def read_options(given: Mapping[str, Any]) -> Options:
    """Return the options that were given, and the defaults of the others. Raises UsageError, which names the option."""
    return Options(
        pull=_word(given, "pull"),
        network=_texts(given, "network"),
        volumes=tuple(map(_volume, _texts(given, "volumes"))),
        user=_text(given, "user"),
        read_only=_flag(given, "read_only"),
        extra_hosts=tuple(map(_extra_host, _texts(given, "extra_hosts"))),
        env_file=_texts(given, "env_file"),
        remove=_word(given, "remove"),
        shm_size=read_size("shm_size", given["shm_size"]) if "shm_size" in given else None,
        platform=_text(given, "platform"),
        runtime=_text(given, "runtime"),
        cap_drop=_texts(given, "cap_drop", ("ALL",)),
        security_opt=_texts(given, "security_opt", ("no-new-privileges",)),
        limit_disk=_flag(given, "limit_disk"),
        render=_word(given, "render"),
    )


def _word(given: Mapping[str, Any], name: str) -> str:
    words = _WORDS[name]
    word: str = given.get(name, words[0])
    if word not in words:
        message = f"{name} is one of {', '.join(words)}, and not {word!r}"
        raise UsageError(message, hint=f"Write {name}={words[0]}, which is the default.")
    return word


def _flag(given: Mapping[str, Any], name: str) -> bool:
    flag = given.get(name, False)
    if not isinstance(flag, bool):
        message = f"{name} is true or false, and not {flag!r}"
        raise UsageError(message, hint=f"Write {name}=true.")
    return flag


def _text(given: Mapping[str, Any], name: str) -> str:
    texts = _texts(given, name)
    if len(texts) > 1:
        message = f"{name} is one text, and not {given[name]!r}"
        raise UsageError(message, hint=f"Write {name}={texts[0]}.")
    return texts[0] if texts else ""


def _texts(given: Mapping[str, Any], name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return a list of texts, or a text alone as a list of it; a whole number counts as its digits: user=1000."""
    if name not in given:
        return default
    values = given[name] if isinstance(given[name], list | tuple) else [given[name]]
    for value in values:
        if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).isprintable() or value == "":
            message = f"{name} takes a text, or a list of texts, and not {value!r}"
            raise UsageError(message, hint=f"""Write -O {name}=TEXT, or -O '{name}=["TEXT", "TEXT"]'.""")
    return tuple(map(str, values))


def _volume(text: str) -> str:
    """Return a volume as the engine takes it: what is a path on this machine is whole."""
    source, *rest = text.split(":")
    if not source or not rest or not rest[0].startswith("/") or len(rest) >= _MOST_PARTS:
        message = f"{text!r} is no volume"
        raise UsageError(message, hint="Write SOURCE:TARGET or SOURCE:TARGET:ro, TARGET from the container's root on.")
    if source.startswith((".", "~")):
        source = str(Path(source).expanduser().resolve())
    return ":".join([source, *rest])


def _extra_host(text: str) -> str:
    name, _, address = text.partition(":")
    if not name or not address:
        message = f"{text!r} is no host with its address"
        raise UsageError(message, hint="Write NAME:ADDRESS, as in host.docker.internal:host-gateway.")
    return text
