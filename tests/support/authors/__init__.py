"""Projects of authors: written into a folder, published from there as ``python flow.py`` does, and run elsewhere."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from runner.bundle.archive import Bundle, read_bundle
from support.starting import KEPT, Ran, start

if TYPE_CHECKING:
    from pathlib import Path

TASK = """
from runner import Flow, task
from runner.storage import Local
{imports}

@task
def answer():
{body}
"""
NAMED = """
with Flow("etl", storage=Local({root!r})) as flow:
    answer()

if __name__ == "__main__":
    print(flow.storage.build({options}))
"""
NAMELESS = """
def made():
    with Flow("etl", storage=Local({root!r})) as flow:
        answer()
    return flow

if __name__ == "__main__":
    print(made().storage.build({options}))
"""


@dataclass(frozen=True)
class Author:
    """An author's project below a temporary folder, and the storage beside it."""

    folder: Path
    root: Path

    def write(self, files: dict[str, str | bytes], folder: str = "project") -> Path:
        """Write files; gives their folder."""
        for name, content in files.items():
            path = self.folder / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.folder / folder

    def flow(self, imports: str, *body: str, options: str = "", by_value: bool = False) -> str:
        """Give a flow's file with one task of this body. It travels or, as the flow has no name there, its values."""
        lines = "\n".join(f"    {line}" for line in body)
        made = (NAMELESS if by_value else NAMED).format(root=str(self.root), options=options)
        return TASK.format(imports=imports, body=lines) + made

    def python(self, *arguments: str, path: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        """Start Python in the project's folder, and ``path`` on its path."""
        environ = {name: value for name, value in os.environ.items() if name.startswith(KEPT)} | more
        if path is not None:
            environ["PYTHONPATH"] = str(path)
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=self.folder / "project", env=environ, capture_output=True, text=True, timeout=60, check=False
        )

    def at_home(self, path: Path | None = None) -> str:
        """Run the project's flow here; gives what its task gave, as text."""
        run = "print((flow.flow if hasattr(flow, 'flow') else flow.made()).run().result('answer'))"
        done = self.python("-c", f"import flow; {run}", path=path)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def publish(self, *arguments: str, path: Path | None = None, **more: str) -> str:
        """Publish the project's flow; gives the bundle's URL."""
        done = self.python(*(arguments or ("flow.py",)), path=path, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]

    def bundle(self, url: str) -> Bundle:
        """Open what was published."""
        with open(unquote(urlsplit(url).path), "rb") as file:  # noqa: PTH123
            return read_bundle(file.read())

    def sources(self, url: str) -> list[str]:
        """Name what travels in a bundle."""
        return [name.removeprefix("src/") for name in self.bundle(url).members if name.startswith("src/")]

    def run(self, url: str, **environ: str) -> Ran:
        """Run a bundle in a folder from where nothing of the project can be imported."""
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        return start({"RUNNER_LOCATION": url, **environ}, cwd=elsewhere)

    def answer(self, url: str, **environ: str) -> Any:
        """Run a bundle and give what its task gave."""
        ran = self.run(url, **environ)
        assert ran.code == 0, ran
        (result,) = self.root.glob("etl/runs/*/attempts/0001/results/answer.pkl")
        with result.open("rb") as file:
            return pickle.load(file)
