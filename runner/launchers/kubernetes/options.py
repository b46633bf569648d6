"""The options of Kubernetes' launcher: checked, and what each of them is in a Job."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import EnvironmentWrong, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from runner.schema.documents import JsonObject

_POLICIES = ("Always", "IfNotPresent", "Never")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def checked_options(given: Mapping[str, Any]) -> JsonObject:
    """Return the options that were given, a template as its manifest. Raises UsageError, which names the wrong one."""
    options = dict(given)
    if isinstance(name := given.get("image_pull_secrets"), str):
        options["image_pull_secrets"] = [name]
    for name, value in options.items():
        if name in _CHECKS and not _CHECKS[name][1](value):
            message = f"Kubernetes' option {name} is {_CHECKS[name][0]}, and not {value!r}"
            raise UsageError(message, hint=f"Write -O {name}=….")
    if "template" in given:
        options["template"] = _read_template(given["template"])
    return options


def read_yaml() -> ModuleType:
    """Return PyYAML. Raises EnvironmentWrong where it is not installed."""
    try:
        import yaml
    except ImportError as error:
        raise missing_library(error) from error
    found: ModuleType = yaml
    return found


def missing_library(error: ImportError) -> EnvironmentWrong:
    """Return the error that names the extra."""
    message = f"the library with which Kubernetes is reached is not installed: {error}"
    return EnvironmentWrong(message, hint="Install it: pip install 'flow-runner[kubernetes]'.")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_list_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(isinstance(item, kind) for item in value)


def _are_annotations(value: Any) -> bool:
    return isinstance(value, dict) and all(_KEY.fullmatch(key) and isinstance(text, str) for key, text in value.items())


def _are_labels(value: Any) -> bool:
    return _are_annotations(value) and all(_LABEL.fullmatch(text) for text in value.values())


def _read_template(given: Any) -> JsonObject:
    """Return the manifest of a template, which is one, or the path of a file with one. Raises UsageError."""
    where, manifest = "template", given
    if isinstance(given, str):
        where = f"the template {given}"
        yaml = read_yaml()
        try:
            manifest = yaml.safe_load(Path(given).read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UsageError(f"{where} cannot be read: {error}", hint="Name a file with one Job as YAML.") from error
    if not isinstance(manifest, dict):
        raise UsageError(f"{where} is no manifest", hint="Give a Job as an object, or the path of a file with one.")
    kind = manifest.get("apiVersion", "batch/v1"), manifest.get("kind", "Job")
    if kind != ("batch/v1", "Job"):
        raise UsageError(f"{where} is a {kind[1]} of {kind[0]}", hint="Give a Job of batch/v1, or parts of one.")
    pod = part_of(manifest, "spec", "template", "spec")
    lists = [pod[name] for name in ("containers", "initContainers") if isinstance(pod.get(name), list)]
    for container in (one for several in lists for one in several):
        if not isinstance(container, dict) or not _is_text(container.get("name")):
            message = f"a container of {where} has no name, by which it would be merged"
            raise UsageError(message, hint="Write name: runner for the flow's own, and another name for any other one.")
    return manifest


def part_of(manifest: JsonObject, *path: str) -> JsonObject:
    """Return an object in a manifest; an empty one if there is none."""
    found: Any = manifest
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


_LABELS_TEXT = 'labels, texts of at most 63 letters, digits, ".", "_" and "-" by their names: {"disk": "ssd"}'
_CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "namespace": (
        "a name of lower case letters, digits and -",
        lambda value: _is_text(value) and bool(_NAME.fullmatch(value)),
    ),
    "context": ("a text", _is_text),
    "kubeconfig": ("a path", _is_text),
    "service_account": ("a name", _is_text),
    "image_pull_secrets": ("a list of names", _is_list_of(str)),
    "image_pull_policy": (f"one of {', '.join(_POLICIES)}", lambda value: value in _POLICIES),
    "node_selector": (_LABELS_TEXT, _are_labels),
    "tolerations": ('a list such as [{"key": "gpu", "operator": "Exists"}]', _is_list_of(dict)),
    "priority_class": ("a name", _is_text),
    "queue": (
        "the name of a LocalQueue of Kueue's",
        lambda value: _is_text(value) and bool(_LABEL.fullmatch(value)),
    ),
    "labels": (_LABELS_TEXT, _are_labels),
    "annotations": ("texts by name", _are_annotations),
    "host_network": ("true or false", lambda value: isinstance(value, bool)),
    "ttl": ("a whole number of seconds", _is_number),
}
