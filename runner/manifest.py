"""What a bundle says about itself, and whether that fits this image and these parameters."""

from __future__ import annotations

import json
import platform
import re
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from runner import __version__
from runner.errors import BundleCorrupt, EnvironmentWrong, Incompatible, UsageError
from runner.records import slugify
from runner.shapes import fault_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.flow import Flow

REPOSITORY = "org/runner"  # of the images, for advice outside of one
_IMAGES = {"file": "slim", "s3": "aws", "gs": "gcp", "azure": "azure"}  # by scheme: the image that is made for it


def facts_of(flow: Flow, version: str, requires: Sequence[Mapping[str, str]], secrets: Iterable[str]) -> dict[str, Any]:
    """Give a bundle's manifest, all but its format and members; an own key of its storage is told, as it is signed too.

    ``requires`` are ``{"module", "distribution", "version"}`` of what unpickling and running the flow imports.
    """
    import cloudpickle

    return {
        "flow": {"name": flow.name, "version": version} | ({"key": key} if (key := flow.storage.key) else {}),
        "python": {"version": platform.python_version(), "implementation": sys.implementation.name},
        "cloudpickle": cloudpickle.__version__,
        "runner": __version__,
        "requires": list(requires),
        "parameters": parameters_of(flow),
        "tasks": [
            {
                "task": node.slug,
                "name": node.name,
                "mapped": node.mapped,
                "upstream": [upstream.slug for upstream in node.upstream],
            }
            for node in flow.nodes
        ],
        "labels": list(flow.labels),
        "image": flow.environment.image if flow.environment else None,
        "secrets": sorted(set(secrets)),
    }


def parameters_of(flow: Flow) -> list[dict[str, Any]]:
    """List ``{"name", "required", "default"}``; a default that JSON cannot hold is told as ``default_repr``."""
    listed = []
    for parameter in flow.parameters:
        entry: dict[str, Any] = {"name": parameter.name, "required": parameter.required}
        if not parameter.required:
            try:
                plain = json.loads(json.dumps(parameter.default, allow_nan=False)) == parameter.default
            except (TypeError, ValueError):
                plain = False
            entry |= {"default": parameter.default} if plain else {"default_repr": repr(parameter.default)}
        listed.append(entry)
    return listed


def check_parameters(declared: Sequence[Mapping[str, Any]], given: Mapping[str, Any]) -> None:
    """Refuse parameters that are unknown, or too few. Raises EnvironmentWrong, which tells of all of them at once."""
    names = [parameter["name"] for parameter in declared]
    unknown = [name for name in given if name not in names]
    missing = [parameter["name"] for parameter in declared if parameter["required"] and parameter["name"] not in given]
    problems = [f"the flow has no parameter {name!r}" for name in unknown]
    problems += [f"parameter {name!r} is required and not given" for name in missing]
    if problems:
        hint = f"Its parameters are: {', '.join(names) or 'none'}. Set RUNNER_PARAMETERS to a JSON object."
        raise EnvironmentWrong("; ".join(problems), hint=hint)


def check_complete(manifest: Mapping[str, Any]) -> None:
    """Refuse a bundle whose manifest, though undamaged, says less than a run needs. Raises BundleCorrupt."""
    fault = fault_in(manifest, "manifest")
    if not fault:
        try:
            slugify(manifest["flow"]["name"])
        except UsageError as error:
            fault = f"flow.name, as {error.message}"
    if fault:
        message = f"the bundle is corrupt: its manifest lacks what a run needs, or has it in another form: {fault}"
        raise BundleCorrupt(message, hint="Build the flow again.")


def check_fit(manifest: Mapping[str, Any], image: str) -> None:
    """Refuse a bundle that this image cannot run. Raises Incompatible, which names the image or the lines that can.

    ``image`` is this image's own name or, outside one, that of the image made for the storage; see `image_for`.
    """
    check_python(manifest["python"]["version"], manifest["python"]["implementation"], image)
    missing = [need for need in manifest["requires"] if _absent(need["module"])]
    if missing:
        pins = " ".join(dict.fromkeys(f"{need['distribution']}=={need['version']}" for need in missing))
        message = f"the flow needs modules that are not installed here: {', '.join(need['module'] for need in missing)}"
        raise Incompatible(message, hint=own_image(manifest["image"] or image, pins))


def image_for(scheme: str, image: str | None) -> str:
    """Name the image to advise: the one that this is or, outside an image, the one made for a storage's scheme."""
    return image or f"{REPOSITORY}:{_IMAGES[scheme]}"


def own_image(image: str, requirements: str) -> str:
    """Give the lines that add packages to an image."""
    return f"Make an image of your own:\nFROM {image}\nUSER root\nRUN pip install {requirements}\nUSER 65532\n"


def check_python(version: str, implementation: str, image: str) -> None:
    """Refuse another implementation or minor version: their bytecode differs, and may crash only at the second call."""
    here = platform.python_version()
    minor, ours = (".".join(each.split(".")[:2]) for each in (version, here))
    if implementation != sys.implementation.name:
        message = (
            f"the flow was built with {implementation} {version}, and this image has {sys.implementation.name} {here}"
        )
        raise Incompatible(message, hint=f"Build it with {sys.implementation.name}.")
    if minor != ours:
        message = f"the flow was built with Python {version}, and this image has Python {here}"
        of_ours = re.fullmatch(r"(.+:(?:slim|aws|gcp|azure|all_extras))(?:-py[\d.]+)?", image)
        fitting = f"{of_ours[1]}-py{minor}" if of_ours else f"an image with Python {minor}"
        hint = f"Use {fitting}, or build the flow with Python {ours}."
        raise Incompatible(message, hint=hint)


def _absent(module: str) -> bool:
    try:
        return module not in sys.modules and find_spec(module) is None
    except (ImportError, ValueError):
        return True
