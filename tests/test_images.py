"""The names of images in advice."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from runner.images import distributions_in, fitting_image, image_for, image_of, own_image, with_python
from support.containers import ELSEWHERE

MINOR = f"3.{sys.version_info.minor}"


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("org/runner:aws", "org/runner:aws-py3.99"),
        ("host:5000/team/runner:all_extras-py3.11", "host:5000/team/runner:all_extras-py3.99"),
        ("org/runner:gcp-0.1.0", "org/runner:gcp-py3.99-0.1.0"),
        ("org/runner:gcp-py3.11-0.1.0", "org/runner:gcp-py3.99-0.1.0"),
        ("team/etl:7", "team/etl:7"),
        ("org/runner", "org/runner"),
    ],
)
def test_one_of_ours_gets_another_python_and_any_other_stays_as_it_is(image: str, expected: str) -> None:
    assert with_python(image, "3.99") == expected


def test_advice_names_this_python_as_the_tags_do() -> None:
    bake = Path(__file__).parent.parent.joinpath("docker-bake.hcl").read_text("utf-8")
    assert '"${image}-py${python}"' in bake
    names = re.findall(r"image  = \[(.+)\]", bake)[0].replace('"', "").split(", ")
    assert [with_python(f"org/runner:{name}") for name in names] == [image_of(name) for name in names]
    assert image_for("s3", None) == f"org/runner:aws-py{MINOR}"
    assert own_image("org/runner:aws", "x").splitlines()[1] == f"FROM org/runner:aws-py{MINOR}"
    assert own_image("team/etl:7", "x").splitlines()[1] == "FROM team/etl:7"


@pytest.mark.parametrize("name", ["slim", "aws", "gcp", "azure", "all_extras"])
def test_what_is_in_an_image_is_what_its_lock_says(name: str) -> None:
    lock = Path(__file__).parent.parent.joinpath("images", f"{name}.txt").read_text("utf-8")
    assert distributions_in(name) == set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE)) - ELSEWHERE


@pytest.mark.parametrize(
    ("scheme", "needs", "image"),
    [
        ("file", set[str](), "org/runner:slim-py3.12"),
        ("s3", set[str](), "org/runner:aws-py3.12"),
        ("s3", {"boto3", "six"}, "org/runner:aws-py3.12"),
        ("file", {"boto3"}, "org/runner:all_extras-py3.12"),
        ("gs", {"azure-storage-blob"}, "org/runner:all_extras-py3.12"),
        ("s3", {"pandas"}, None),
    ],
)
def test_the_image_that_fits_a_flow_has_all_that_it_needs(scheme: str, needs: set[str], image: str | None) -> None:
    assert fitting_image(scheme, "3.12", needs) == image
