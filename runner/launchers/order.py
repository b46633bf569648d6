"""From a published flow to what a platform is asked for: which image, which variables, which secrets."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runner.bundle.archive import Bundle
from runner.errors import EnvironmentWrong, Incompatible, UsageError
from runner.images import fitting_image, image_for, own_image
from runner.launchers.base import Order
from runner.model.parameters import check_parameters
from runner.schema.validation import is_secret_name
from runner.schemes import BAKED_WORD, backends
from runner.secrets.parts import known_secrets
from runner.settings import SECRET_VARIABLES, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.bundle.trust import Admitted
    from runner.schema.documents import Manifest, ResourcesRecord
    from runner.settings import Settings

# What the launcher says itself, or what is of the launcher's own machine.
_NOT_PASSED_ON = {
    "RUNNER_STORAGE",
    "RUNNER_LOCATION",
    "RUNNER_BUNDLE_SHA256",
    "RUNNER_PARAMETERS",
    "RUNNER_SECRETS",
    "RUNNER_RUN_ID",
    "RUNNER_LAUNCH",
    "RUNNER_IMAGE",
    "RUNNER_LOG_FORMAT",
    "RUNNER_MAX_AGE",  # of the pointer that was followed here; the bundle is named by its digest
    *SECRET_VARIABLES,
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What engines and registries take for one: https://pkg.go.dev/github.com/distribution/reference
_PATH = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?"
_TAG, _DIGEST = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "[A-Za-z0-9+._-]+:[0-9a-fA-F]{32,}"
_IMAGE = re.compile(rf"(?:{_HOST}/)?{_PATH}(?:/{_PATH})*(?::{_TAG})?(?:@{_DIGEST})?")
_LONGEST_VARIABLE = 131_071  # bytes of NAME=VALUE that Linux gives a process: MAX_ARG_STRLEN of execve(2)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What whoever launches a flow says of it, beside the platform's own options.

    Args:
        parameters: the flow's, by name.
        image: instead of the one that the flow's environment names, or that fits it; refused where no container is run.
        environ: more variables; none of them may be a secret's.
        secrets: references by the names of secrets.
        plain: names of secrets that are passed as plain variables all the same, from this process's environment.
        resources: instead of the flow's own, one by one.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    image: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    plain: tuple[str, ...] = ()
    resources: ResourcesRecord = field(default_factory=dict)  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Launchable:
    """A flow that was found and may run: where its bundle lies, the bundle's digest, and what its manifest says.

    ``image`` is the one that it was baked into, where the bundle lies then.
    """

    url: str
    sha256: str
    scheme: str
    manifest: Manifest
    image: str | None = None

    @classmethod
    def of(cls, admitted: Admitted, url: str, sha256: str) -> Launchable:
        """Return what was admitted. Raises UsageError for an object that is no bundle, and says nothing of itself."""
        if not isinstance(admitted.opened, Bundle):
            message = f"{url} is no bundle but a plain pickle, which says neither what it needs nor where it runs"
            raise UsageError(message, hint="Build the flow with runner, or start a container with RUNNER_LOCATION.")
        return cls(url, sha256, admitted.place.scheme, admitted.opened.manifest)


def make_order(
    flow: Launchable,
    wishes: Wishes,
    settings: Settings,
    *,
    name: str,
    run_id: str | None,
    launch: int | None,
    needs_image: bool = True,
) -> Order:
    """Return what a platform is asked for; see `Order`.

    Without a run id every start is a run of its own, as a rendered CronJob has it. Where no container is run, the image
    that a flow's environment names is not used. Raises UsageError, EnvironmentWrong for parameters that the flow does
    not take or that are too long, and Incompatible when no image fits.
    """
    manifest = flow.manifest
    check_parameters(manifest["parameters"], wishes.parameters)
    environ = {
        **_passed_on(settings),
        "RUNNER_LOCATION": flow.url,
        **({"RUNNER_STORAGE": BAKED_WORD} if flow.image else {}),
        "RUNNER_BUNDLE_SHA256": flow.sha256,
        **_if_any("RUNNER_PARAMETERS", json.dumps(wishes.parameters) if wishes.parameters else None),
        **_if_any("RUNNER_SECRETS", ",".join(sorted({*manifest["secrets"], *settings.secrets, *_named(wishes)}))),
        **_if_any("RUNNER_RUN_ID", run_id),
        **_if_any("RUNNER_LAUNCH", launch),
        **_checked(wishes, manifest["secrets"]),
        **_plain_secrets(wishes, settings.environ),
    }
    _check_lengths(environ)
    _check_secret_names(wishes)
    labels = {
        "runner/flow": manifest["flow"]["name"],
        **_if_any("runner/run-id", run_id),
        **_if_any("runner/launch", launch),
    }
    return Order(
        name=name,
        image=_checked_image(choose_image(flow, wishes.image)) if needs_image else check_no_image(wishes),
        environ=environ,
        secrets=dict(wishes.secrets),
        resources={**manifest.get("environment", {}).get("resources", {}), **wishes.resources},
        labels={name: _label(text) for name, text in labels.items()},
        grace=settings.grace,
        timeout=settings.timeout,
        plain=wishes.plain,
    )


def check_wishes(wishes: Wishes, settings: Settings) -> None:
    """Refuse what is wrong with any flow that is launched so. Raises UsageError and EnvironmentWrong."""
    environ = {**_passed_on(settings), **_checked(wishes, ()), **_plain_secrets(wishes, settings.environ)}
    _check_lengths(environ)
    _check_secret_names(wishes)
    type(settings).from_environ(environ, needs_location=False)


def choose_image(flow: Launchable, image: str | None) -> str:
    """Return the image that holds the flow, that was asked for, or that its environment names; or ours that fits.

    Raises Incompatible.
    """
    manifest = flow.manifest
    if named := flow.image or image or manifest["image"]:
        return named
    python = manifest["python"]["version"]
    minor = ".".join(python.split(".")[:2])
    needs = {need["distribution"]: need["version"] for need in manifest["requires"]}
    ours = {_normalized(each) for each in needs}
    if fitting := fitting_image(flow.scheme, minor, ours):
        return fitting
    message = f"none of runner's images has all that the flow needs: {', '.join(sorted(needs))}"
    pins = " ".join(f"{name}=={version}" for name, version in sorted(needs.items()))
    hint = f"{own_image(image_for(flow.scheme, None), pins)}Then name it: --image, or the environment's metadata."
    raise Incompatible(message, hint=hint)


def check_no_image(wishes: Wishes) -> str:
    """Return the image where no container is run: none. Raises UsageError where one was asked for."""
    if wishes.image:
        message = f"the image {_checked_image(wishes.image)} is asked for, and what is launched here is no container"
        hint = (
            "Leave --image out, or launch where containers are run: docker, say, or slurm with -O container=apptainer."
        )
        raise UsageError(message, hint=hint)
    return ""


def _checked_image(name: str) -> str:
    """Return an image's name that is one. Raises UsageError, which shows nothing of what may be a password."""
    if not _IMAGE.fullmatch(name):
        shown = f"***@{name.rpartition('@')[2]}" if "@" in name else name
        message = f"{shown!r} is no image's name"
        hint = "Write REGISTRY/NAME:TAG in small letters, with no docker:// or password: --image, or the metadata."
        raise UsageError(message, hint=hint)
    return name


def options_of(flow: Launchable, kind: str) -> Mapping[str, Any]:
    """Return what the flow's environment says of one platform."""
    options: Mapping[str, Any] = flow.manifest.get("environment", {}).get("options", {}).get(kind, {})
    return options


def _passed_on(settings: Settings) -> dict[str, str]:
    """Return the settings of this process that hold for the flow's as well."""
    names = [name for name in VARIABLES if name not in _NOT_PASSED_ON]
    return {name: text for name in names if (text := settings.environ.get(name, "").strip())}


def _named(wishes: Wishes) -> set[str]:
    return {name for name in (*wishes.secrets, *wishes.plain) if name not in VARIABLES}


def _checked(wishes: Wishes, secrets: Iterable[str]) -> dict[str, str]:
    """Return the variables that were asked for by name. Raises UsageError where one would show a secret."""
    private = (name for backend in backends() for name in backend.private_variables)
    secret = {*secrets, *known_secrets(), *SECRET_VARIABLES, *private}
    for name in wishes.environ:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} can be no variable's name", hint="Write -e NAME=VALUE.")
        if name == "RUNNER_RESULTS":
            message = f"{name} says where the run lies, for whoever looks after it as well"
            raise UsageError(message, hint=f"Set it for this command: export {name}=URL.")
        if name in _NOT_PASSED_ON - SECRET_VARIABLES:
            message = f"{name} is said by the launch itself"
            raise UsageError(message, hint="Give the location, -p, --run-id, --secret and --image to the command.")
        if name in secret:
            message = (
                f"{name} is a secret, and would stand as plain text where everybody who looks at the platform sees it"
            )
            raise UsageError(message, hint=f"Give a reference: --secret {name}=…, or allow it: --plain-secret {name}.")
    return dict(wishes.environ)


def _plain_secrets(wishes: Wishes, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets that are to be passed as plain variables. Raises EnvironmentWrong for one that is not here."""
    if missing := [name for name in wishes.plain if name not in environ]:
        message = f"{missing[0]} is to be passed on, and is not set here"
        raise EnvironmentWrong(message, hint="Set it, or give a reference: --secret NAME=….")
    return {name: environ[name] for name in wishes.plain}


def _check_secret_names(wishes: Wishes) -> None:
    """Refuse a name that would be a path in the folder of mounted secrets. Raises UsageError."""
    for name in (*wishes.secrets, *wishes.plain):
        if not is_secret_name(name):
            raise UsageError(f"{name!r} can be no secret's name", hint="Write --secret NAME=REFERENCE.")


def _check_lengths(environ: Mapping[str, str]) -> None:
    """Refuse a variable with which no process can begin, on whatever platform. Raises EnvironmentWrong."""
    for name, text in environ.items():
        if (length := len(f"{name}={text}".encode())) > _LONGEST_VARIABLE:
            message = f"{name} takes {length:,} bytes, and a variable has {_LONGEST_VARIABLE:,} at the most"
            raise EnvironmentWrong(message, hint="Put what is large into a storage, and give the flow its URL.")


def _if_any(name: str, value: object) -> dict[str, str]:
    return {} if value in {None, ""} else {name: str(value)}


def _label(text: str) -> str:
    """Return a text as the strictest platform, Kubernetes, takes it for a label's value."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:63].strip("-._") or "flow"


def _normalized(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
