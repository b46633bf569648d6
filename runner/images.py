"""The names of runner's images, for advice."""

from __future__ import annotations

import re
import sys

from runner.schemes import backend_of

REPOSITORY = "org/runner"  # of the images, for advice outside of one
_MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
# A tag as docker-bake.hcl makes them: the image, perhaps its Python, perhaps a version of runner's.
_OURS = r"(.+:(?:slim|aws|gcp|azure|all_extras))(?:-py[\d.]+)?(-\d[\w.]*)?"

# The distributions in our images beside those of slim; a test compares them with images/*.txt.
_SLIM = "cffi click cloudpickle cryptography obstore pycparser python-json-logger typing-extensions"
_SHARED = "certifi charset-normalizer idna requests urllib3"  # what two clouds' libraries need
_LAUNCHERS = (
    "docker anyio h11 h2 hpack httpcore2 httpx2 hyperframe lightkube lightkube-models msgspec pyyaml truststore wsproto"
)
_ADDED = {
    "slim": "",
    "aws": "boto3 botocore jmespath python-dateutil s3transfer six urllib3",
    "gcp": "google-api-core google-auth google-cloud-core google-cloud-storage google-crc32c google-resumable-media "
    f"googleapis-common-protos opentelemetry-api proto-plus protobuf pyasn1 pyasn1-modules {_SHARED}",
    "azure": "azure-core azure-identity azure-storage-blob isodate msal msal-extensions pyjwt " + _SHARED,
}


def distributions_in(name: str) -> set[str]:
    """Return the distributions in one of our images."""
    added = " ".join([*_ADDED.values(), _LAUNCHERS]) if name == "all_extras" else _ADDED[name]
    return {*_SLIM.split(), *added.split()}


def fitting_image(scheme: str, minor: str, distributions: set[str]) -> str | None:
    """Return the smallest of our images that reaches a storage and has these distributions; None if none has."""
    for name in (backend_of(scheme).image, "all_extras"):
        if distributions <= distributions_in(name):
            return with_python(image_of(name), minor)
    return None


def image_of(name: str) -> str:
    """Return one of our images, with this Python in it: ``org/runner:gcp-py3.11``."""
    return f"{REPOSITORY}:{name}-py{_MINOR}"


def with_python(image: str, minor: str = _MINOR) -> str:
    """Return the image of ours with another Python; any other image as it is."""
    ours = re.fullmatch(_OURS, image)
    return f"{ours[1]}-py{minor}{ours[2] or ''}" if ours else image


def how_to_build(image: str) -> str:
    """Return how one of our images, none of which a registry has by this name, is made; of any other image nothing."""
    repository, _, tag = image.partition(":")
    if repository != REPOSITORY:
        return ""
    bake = f"docker buildx bake {tag.replace('.', '-')}"
    return f"Runner's images are not published: {bake}, in its repository, makes this one. Or name your own: --image."


def image_for(scheme: str, image: str | None) -> str:
    """Return the image to advise: the one that this is or, outside an image, the one made for a storage's scheme."""
    return image or image_of(backend_of(scheme).image)


def own_image(image: str, requirements: str) -> str:
    """Return the lines of a Dockerfile that add packages to an image, with this Python if it is one of ours."""
    from_line = f"FROM {with_python(image)}"
    return f"Make an image of your own:\n{from_line}\nUSER root\nRUN pip install {requirements}\nUSER 65532\n"
