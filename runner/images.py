"""The names of runner's images, for advice."""

from __future__ import annotations

REPOSITORY = "org/runner"  # of the images, for advice outside of one
_IMAGES = {"file": "slim", "s3": "aws", "gs": "gcp", "azure": "azure"}  # by scheme: the image that is made for it


def image_for(scheme: str, image: str | None) -> str:
    """Name the image to advise: the one that this is or, outside an image, the one made for a storage's scheme."""
    return image or f"{REPOSITORY}:{_IMAGES[scheme]}"


def own_image(image: str, requirements: str) -> str:
    """Give the lines that add packages to an image."""
    return f"Make an image of your own:\nFROM {image}\nUSER root\nRUN pip install {requirements}\nUSER 65532\n"
