"""What the tests of images share: the docker client, and how a container is started from an image."""

from __future__ import annotations

import json
import pickle
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from runner.naming import new_run_id
from support.flows import outcome_of, publish
from support.starting import Ran

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from support.places import Place

LONGEST = 600  # seconds for one call: a build may have to fetch packages
ELSEWHERE = {"pywin32", "httpx2-jsfetch"}  # locked for Windows, and for browsers
PARENTS: dict[str, list[str]] = {
    "slim": [],
    "aws": ["slim"],
    "gcp": ["slim"],
    "azure": ["slim"],
    "all_extras": ["aws", "gcp", "azure", "slim"],
}
ETL = "e-t-l-taglich"
HARDENED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")


def docker(*arguments: str, stdin: str | None = None) -> Ran:
    """Run the docker client."""
    done = subprocess.run(
        ["docker", *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=LONGEST
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def options_of(environ: Mapping[str, str]) -> list[str]:
    """Give ``-e`` for each variable."""
    return [f"--env={name}={value}" for name, value in environ.items()]


def run_image(image: str, *command: str, environ: Mapping[str, str] | None = None, options: Iterable[str] = ()) -> Ran:
    """Run a container of the image to its end; it shares the machine's network, as every server is on loopback."""
    return docker("run", "--rm", "--network=host", *options_of(environ or {}), *options, image, *command)


def shell(image: str, script: str, *options: str) -> str:
    """Give what a shell script prints in the image."""
    done = run_image(image, "sh", "-c", script, options=options)
    assert done.code == 0, done
    return done.stdout


def build(dockerfile: str, context: Path, tag: str, *options: str) -> Ran:
    """Build an image from a Dockerfile's text, as a user would."""
    arguments = ("buildx", "build", "--progress=plain", "--network=host", f"--tag={tag}", *options, "--file=-")
    return docker(*arguments, str(context), stdin=dockerfile)


def run_etl(image: str, place: Place, environ: Mapping[str, str], options: Iterable[str] = ()) -> None:
    """Run a flow in a container, and read its results with the cloud's own SDK."""
    run_id = new_run_id()
    done = run_image(image, environ={**environ, "RUNNER_RUN_ID": run_id}, options=options)
    assert done.code == 0, done
    assert [line for line in done.lines if line["level"] not in {"INFO", "DEBUG"}] == []
    assert done.stderr == ""
    outcome = outcome_of(place, run_id, ETL)
    assert outcome["state"] == "succeeded"
    results = {task["task"]: task["result"] for task in outcome["tasks"] if task["index"] is None}
    assert pickle.loads(place.read(results["load-it"]["key"])) == 6
    assert len(pickle.loads(place.read(results["large"]["key"]))) == 3_000_000
    claim = json.loads(place.read(f"{ETL}/runs/{run_id}/attempts/0001/claim.json"))
    assert claim["image"] == image


def in_folder(place: Place, file: str = "etl.py", slug: str = ETL) -> tuple[dict[str, str], list[str]]:
    """Publish a flow to a folder; give the environment and the option with which a container of any user finds it."""
    publish(place, file)
    root = place.url.removeprefix("file://")
    Path(root, slug).chmod(0o777)
    Path(root).chmod(0o755)  # one that everybody may write to is warned of
    return {"RUNNER_STORAGE": "local", "RUNNER_LOCATION": f"/flows/{slug}"}, [f"--volume={root}:/flows"]
