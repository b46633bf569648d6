"""How large the images are, and that a layer only adds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.containers import PARENTS, docker, shell

README = Path(__file__).parent.parent.parent / "images/README.md"
BUDGETS = {
    "slim": 45,
    "aws": 40,
    "gcp": 30,
    "azure": 25,
    "all_extras": 160,
}  # MB; slim's above the base, others' above it
SLACK = 2  # MB by which what the README says may be off: a base with other packages shares other ones


def layers(image: str) -> tuple[list[str], int]:
    """Give the layers of an image and their size, uncompressed, in bytes."""
    [facts] = json.loads(docker("image", "inspect", image).stdout)
    return facts["RootFS"]["Layers"], facts["Size"]


@pytest.fixture(scope="session")
def sizes(images: dict[str, str], bases: dict[str, str]) -> dict[str, tuple[float, float]]:
    """The MB of each image above the base, and above slim."""
    below, base = layers(bases["3.11"])
    slim_layers, slim = layers(images["slim-py3.11"])
    assert slim_layers[: len(below)] == below
    found = {}
    for name in PARENTS:
        above, size = layers(images[f"{name}-py3.11"])
        assert above[: len(slim_layers)] == slim_layers
        found[name] = ((size - base) / 1e6, (size - slim) / 1e6)
    return found


def test_every_image_keeps_its_budget_and_the_readme_tells_its_size(sizes: dict[str, tuple[float, float]]) -> None:
    table = [f"| `{name}` | {total:.0f} | {above:.0f} | {BUDGETS[name]} |" for name, (total, above) in sizes.items()]
    print("\n".join(table))
    for name, (total, above) in sizes.items():
        assert (total if name == "slim" else above) <= BUDGETS[name], table
    reported = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \| (\d+) \|$", README.read_text("utf-8"), re.MULTILINE)
    assert [(name, int(budget)) for name, _, _, budget in reported] == list(BUDGETS.items()), table
    for name, *columns, _ in reported:
        for column, measured in zip(columns, sizes[name], strict=True):
            assert abs(float(column) - measured) <= SLACK, table


def test_a_layer_changes_nothing_below_it(images: dict[str, str]) -> None:
    """What slim has, every other image has in the same version."""
    script = "cd /opt/runner/lib/python3*/site-packages && ls -d *.dist-info"
    slim = set(shell(images["slim-py3.11"], script).split())
    for name in PARENTS:
        assert slim <= set(shell(images[f"{name}-py3.11"], script).split())
