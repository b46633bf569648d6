"""The names of runner's images, for advice."""

from __future__ import annotations

from runner.schemes import backend_of

REPOSITORY = "org/runner"  # of the images, for advice outside of one


def image_for(scheme: str, image: str | None) -> str:
    """Return the image to advise: the one that this is or, outside an image, the one made for a storage's scheme."""
    return image or f"{REPOSITORY}:{backend_of(scheme).image}"


def own_image(image: str, requirements: str) -> str:
    """Return the lines of a Dockerfile that add packages to an image."""
    return f"Make an image of your own:\nFROM {image}\nUSER root\nRUN pip install {requirements}\nUSER 65532\n"
