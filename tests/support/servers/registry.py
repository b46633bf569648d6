"""Debian's docker-registry, a place to push images to, with or without a password."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import bcrypt

from . import HOST, spawn

USER, PASSWORD = "pusher", "pa55word"


@contextlib.contextmanager
def start_registry(*, login: bool = False) -> Iterator[str]:
    """Start an empty registry; yield host and port, which begin an image's name. With ``login`` only USER may enter."""

    def command(port: int, folder: Path) -> Sequence[str]:
        config: dict[str, object] = {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
            "http": {"addr": f"{HOST}:{port}"},
            "log": {"level": "error"},
        }
        if login:
            users = folder / "users"
            users.write_text(f"{USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
            config["auth"] = {"htpasswd": {"realm": "tests", "path": str(users)}}
        file = folder / "config.yml"
        file.write_text(json.dumps(config))  # which is YAML too
        return ["docker-registry", "serve", str(file)]

    with spawn(command, ready_path="/v2/") as url:
        yield url.removeprefix("http://")
