"""The bill of materials that each image is given: what importlib finds, once each, as CycloneDX has it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import distributions, version
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "images" / "sbom.py"


def test_every_distribution_is_listed_once_and_the_same_packages_give_the_same_bytes() -> None:
    first, second = (
        subprocess.run([sys.executable, SCRIPT, "org/runner:slim-py3.11"], capture_output=True, check=True).stdout
        for _ in range(2)
    )
    assert first == second
    reported = json.loads(first)
    assert reported["metadata"]["component"]["version"] == "slim-py3.11"
    names = [each["name"] for each in reported["components"] if each["type"] == "library"]
    assert len(names) == len(set(names))
    assert len(names) >= len({found.metadata["Name"] for found in distributions()}) - 1
    click = next(each for each in reported["components"] if each["name"] == "click")
    assert click["purl"] == f"pkg:pypi/click@{version('click')}"
    assert click["licenses"]
