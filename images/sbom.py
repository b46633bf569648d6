"""Print what is in an image's Python as a software bill of materials: CycloneDX 1.6, JSON.

Run while the image is built, with the name under which the image is known: ``python sbom.py org/runner:slim-py3.13``.
The same packages give the same bytes. https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
import platform
import re
import sys
from importlib.metadata import Distribution, distributions
from typing import Any


def component(distribution: Distribution) -> dict[str, Any]:
    """Describe a distribution by name, version, licence and package URL."""
    told = distribution.metadata
    name = re.sub(r"[-_.]+", "-", told["Name"]).lower()
    url = f"pkg:pypi/{name}@{distribution.version}"
    listed: dict[str, Any] = {
        "type": "library",
        "bom-ref": url,
        "name": name,
        "version": distribution.version,
        "purl": url,
    }
    if expressions := told.get_all("License-Expression"):
        listed["licenses"] = [{"expression": expressions[0]}]
    elif names := [
        each.rpartition(" :: ")[2] for each in told.get_all("Classifier", []) if each.startswith("License ::")
    ]:
        listed["licenses"] = [{"license": {"name": each}} for each in names]
    return listed


def bill(image: str) -> dict[str, Any]:
    """Give the whole document."""
    name, _, tag = image.rpartition(":")
    found = {each["purl"]: each for each in map(component, distributions())}
    python = {
        "type": "platform",
        "bom-ref": f"python@{platform.python_version()}",
        "name": platform.python_implementation(),
        "version": platform.python_version(),
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": image, "name": name, "version": tag}},
        "components": [python, *(found[url] for url in sorted(found))],
    }


if __name__ == "__main__":
    json.dump(bill(sys.argv[1]), sys.stdout, indent=1)
