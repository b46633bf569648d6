"""What a bundle says about itself, and whether that fits this image and these parameters."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from runner.errors import BundleCorrupt, Incompatible, UsageError
from runner.images import own_image, with_python
from runner.model.parameters import parameters_of
from runner.naming import slugify
from runner.schema.validation import first_violation
from runner.version import PYTHON, __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.model.flow import FlowGraph
    from runner.schema.documents import FlowReference, Manifest, ManifestFacts, Requirement


def facts_of(
    flow: FlowGraph,
    version: str,
    requires: Sequence[Requirement],
    *,
    key: str,
    labels: Iterable[str],
    image: str | None,
    secrets: Iterable[str],
) -> ManifestFacts:
    """Return a bundle's manifest, all but its format and members.

    ``requires`` is what unpickling and running the flow imports, ``key`` where it will lie in its bucket or folder: it
    is in the manifest so that it is signed too.
    """
    import cloudpickle

    reference: FlowReference = {"name": flow.name, "version": version, "key": key}
    facts: ManifestFacts = {
        "flow": reference,
        "python": {"version": PYTHON, "implementation": sys.implementation.name},
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
        "labels": list(labels),
        "image": image,
        "secrets": sorted(set(secrets)),
    }
    if flow.concurrency:
        facts["concurrency"] = flow.concurrency
    return facts


def check_complete(manifest: Manifest) -> None:
    """Refuse a bundle whose manifest, though undamaged, says less than a run needs. Raises BundleCorrupt."""
    fault = first_violation(manifest, "manifest")
    if not fault:
        try:
            slugify(manifest["flow"]["name"])
        except UsageError as error:
            fault = f"flow.name, as {error.message}"
    if fault:
        message = f"the bundle is corrupt: its manifest lacks what a run needs, or has it in another form: {fault}"
        raise BundleCorrupt(message, hint="Build the flow again.")


def check_fit(manifest: Manifest, image: str) -> None:
    """Refuse a bundle that this image cannot run. Raises Incompatible, which names the image or the lines that can.

    ``image`` is this image's own name or, outside one, that of the image made for the storage; see `image_for`.
    """
    check_python(manifest["python"]["version"], manifest["python"]["implementation"], image)
    missing = [need for need in manifest["requires"] if _absent(need["module"])]
    if missing:
        pins = " ".join(dict.fromkeys(f"{need['distribution']}=={need['version']}" for need in missing))
        message = f"the flow needs modules that are not installed here: {', '.join(need['module'] for need in missing)}"
        raise Incompatible(message, hint=own_image(manifest["image"] or image, pins))


def check_python(version: str, implementation: str, image: str) -> None:
    """Refuse another implementation or minor version: their bytecode differs, and may crash only at the second call."""
    minor, ours = (".".join(each.split(".")[:2]) for each in (version, PYTHON))
    if implementation != sys.implementation.name:
        message = (
            f"the flow was built with {implementation} {version}, and this image has {sys.implementation.name} {PYTHON}"
        )
        raise Incompatible(message, hint=f"Build it with {sys.implementation.name}.")
    if minor != ours:
        message = f"the flow was built with Python {version}, and this image has Python {PYTHON}"
        ours_with_it = with_python(image, minor)
        fitting = f"an image with Python {minor}" if ours_with_it == image else ours_with_it
        hint = f"Use {fitting}, or build the flow with Python {ours}."
        raise Incompatible(message, hint=hint)


def _absent(module: str) -> bool:
    try:
        return module not in sys.modules and find_spec(module) is None
    except (ImportError, ValueError):
        return True
