"""From an order to the Job that Kubernetes is asked for, and whether the one that it made is what was asked for."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from runner.errors import UsageError
from runner.launchers.folders import check_mounted
from runner.launchers.kubernetes.merge import merged
from runner.launchers.kubernetes.options import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.launchers.base import Order
    from runner.schema.documents import JsonObject, ResourcesRecord

CONTAINER = "runner"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
_UID_LABEL = "batch.kubernetes.io/controller-uid"
_SECRETS = "/run/secrets"
_USER = 65532  # of runner's images
_TTL = 3600
_MARGIN = 10  # seconds that Kubernetes waits longer than the flow is given
_START_SECONDS = 600  # that an image may take to arrive, before the flow's own time begins
_REFERENCE = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?(/[A-Za-z0-9._-]+)?")
_NOTE = "# Each Job is a run of its own, named by its uid: pods have that label since Kubernetes 1.27.\n"


def make_job(order: Order, options: JsonObject) -> JsonObject:
    """Return the Job: what the launcher proposes, the user's template over it, and over both what was said.

    Raises UsageError for a template that no Job can be made of, and for a secret's reference that is none, and
    EnvironmentWrong where the flow lies in a folder that the container has not.
    """
    job = merged(merged(_proposed(order), options.get("template", {})), _said(order, options))
    for level, name in ((job, "metadata"), (job["spec"]["template"], "metadata")):
        level[name]["labels"] = dict(sorted(level[name]["labels"].items()))
    check_mounted("kubernetes", order.environ, _mounted(job["spec"]["template"]["spec"]), "-O template=FILE")
    return job


def shown(order: Order, options: JsonObject) -> JsonObject:
    """Return the Job of an order without the secrets that are plain variables: ``envsubst`` puts those in."""
    job = make_job(order, options)
    for container in job["spec"]["template"]["spec"]["containers"]:
        for variable in container.get("env", []) if container["name"] == CONTAINER else []:
            if variable["name"] in order.plain:
                variable["value"] = f"${{{variable['name']}}}"
    return job


def as_yaml(job: JsonObject) -> str:
    """Return a Job as Kubernetes' users write it."""
    yaml = read_yaml()

    class Dumper(yaml.SafeDumper):  # type: ignore[misc, name-defined]
        """Quote what another reader of YAML could take for a number or a date: 1e3."""

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar(
            "tag:yaml.org,2002:str", value, None if value[:1].isalpha() or value[:1] == "/" else '"'
        )

    Dumper.add_representer(str, text)
    Dumper.ignore_aliases = lambda *_: True
    written: str = yaml.dump(job, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return (_NOTE if _UID_LABEL in written else "") + written


def changes(asked: JsonObject, made: JsonObject) -> list[str]:
    """Return what a server has dropped or changed of all that a run's correctness rests on."""
    return [f"{what} is {now!r}" for what, now in _essentials(made).items() if now != _essentials(asked).get(what)] + [
        f"{what} is gone" for what in _essentials(asked) if what not in _essentials(made)
    ]


def _essentials(job: JsonObject) -> dict[str, object]:
    spec: Mapping[str, Any] = job.get("spec") or {}
    pod: Mapping[str, Any] = (spec.get("template") or {}).get("spec") or {}
    ours = [each for each in pod.get("containers", []) if each["name"] == CONTAINER]
    return {
        **{f"spec.{name}": spec.get(name) for name in ("backoffLimit", "completions", "parallelism")},
        "restartPolicy": pod.get("restartPolicy"),
        **{
            f"the variable {variable['name']}": variable.get("value") or [*variable.get("valueFrom", {})]
            for container in ours
            for variable in container.get("env", [])
            if variable["name"].startswith("RUNNER_")
        },
    }


def _proposed(order: Order) -> JsonObject:
    """Return what a template may change: the restricted profile, and how long a Job is kept."""
    deadline = None if order.timeout is None else math.ceil(order.timeout + order.grace) + _START_SECONDS
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": _name(order.name)},
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "ttlSecondsAfterFinished": _TTL,
            "template": {
                "metadata": {},
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": math.ceil(order.grace) + _MARGIN,
                    **_if_any(activeDeadlineSeconds=deadline),
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,  # a Service called runner would set RUNNER_PORT and others
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": _USER,
                        "runAsGroup": _USER,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [_proposed_container(order)],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                },
            },
        },
    }


def _proposed_container(order: Order) -> JsonObject:
    return {
        "name": CONTAINER,
        "image": order.image,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - the container's own
    }


def _said(order: Order, options: JsonObject) -> JsonObject:
    """Return what holds whatever a template says: what the launch rests on, and what was asked for by name."""
    labels = {**order.labels, **options.get("labels", {})}
    annotations = options.get("annotations")
    queue = {QUEUE_LABEL: options["queue"]} if "queue" in options else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": _name(order.name),
            "generateName": None,
            **_if_any(namespace=options.get("namespace"), annotations=annotations),
            "labels": {**labels, **queue},
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "selector": None,
            "manualSelector": None,
            **_if_any(ttlSecondsAfterFinished=options.get("ttl")),
            "template": {
                "metadata": {"labels": labels, **_if_any(annotations=annotations)},
                "spec": _said_pod(order, options),
            },
        },
    }


def _said_pod(order: Order, options: JsonObject) -> JsonObject:
    pull_secrets = [{"name": name} for name in options.get("image_pull_secrets", [])]
    return {
        "restartPolicy": "Never",
        **_if_any(
            serviceAccountName=options.get("service_account"),
            imagePullSecrets=pull_secrets or None,
            nodeSelector=options.get("node_selector"),
            tolerations=options.get("tolerations"),
            hostNetwork=options.get("host_network"),
            priorityClassName=options.get("priority_class"),
        ),
        "containers": [
            {
                "name": CONTAINER,
                "image": order.image,
                **_if_any(imagePullPolicy=options.get("image_pull_policy")),
                **_if_any(args=[_literal(word) for word in order.command] or None),
                "env": _variables(order),
                **_if_any(resources=_resources(order.resources)),
                **_if_any(volumeMounts=[_mount(name) for name in sorted(order.secrets)] or None),
            }
        ],
        **_if_any(volumes=_volumes(order.secrets)),
    }


def _variables(order: Order) -> list[JsonObject]:
    environ = {**order.environ, **{f"{name}_FILE": f"{_SECRETS}/{name}" for name in order.secrets}}
    variables: list[JsonObject] = [{"name": name, "value": _literal(text)} for name, text in sorted(environ.items())]
    if "RUNNER_RUN_ID" not in environ:
        source = {"fieldRef": {"fieldPath": f"metadata.labels['{_UID_LABEL}']"}}
        variables.append({"name": "RUNNER_RUN_ID", "valueFrom": source})
    return variables


def _literal(text: str) -> str:
    """Return a text as Kubernetes leaves it as it is: $(NAME) would be a variable's value."""
    return text.replace("$", "$$")


def _resources(resources: ResourcesRecord) -> JsonObject | None:
    """Return requests that are limits as well: what was asked for is there, and is not exceeded."""
    asked = {
        **_if_any(cpu=_cores(resources["cpu"]) if "cpu" in resources else None),
        **_if_any(memory=_size(resources["memory"]) if "memory" in resources else None),
        **({"ephemeral-storage": _size(resources["disk"])} if "disk" in resources else {}),
        **({"nvidia.com/gpu": str(resources["gpu"])} if "gpu" in resources else {}),
    }
    return {"requests": asked, "limits": dict(asked)} if asked else None


def _cores(cpu: float) -> str:
    return str(int(cpu)) if cpu == int(cpu) else f"{max(1, round(cpu * 1000))}m"


def _size(size: int) -> str:
    units = [(shift, unit) for shift, unit in ((30, "Gi"), (20, "Mi"), (10, "Ki")) if not size % (1 << shift)]
    return f"{size >> units[0][0]}{units[0][1]}" if units else str(size)


def _mount(name: str) -> JsonObject:
    # each by itself: a volume over all of /run/secrets would hide what the cluster mounts below it
    return {"name": "secrets", "mountPath": f"{_SECRETS}/{name}", "subPath": name, "readOnly": True}


def _volumes(secrets: Mapping[str, str]) -> list[JsonObject] | None:
    """Return the volume of all secrets. Raises UsageError for a reference that is none."""
    sources = []
    for name, reference in sorted(secrets.items()):
        if not _REFERENCE.fullmatch(reference):
            message = f"{reference!r} is no reference to a Secret of Kubernetes"
            raise UsageError(message, hint=f"Write --secret {name}=NAME/KEY, or NAME alone for the key {name}.")
        secret, _, key = reference.partition("/")
        sources.append({"secret": {"name": secret, "items": [{"key": key or name, "path": name}]}})
    # whoever is the container's user: it has no other one
    return [{"name": "secrets", "projected": {"defaultMode": 0o444, "sources": sources}}] if sources else None


def _mounted(pod: JsonObject) -> list[str]:
    """Return where the flow's container has volumes that others see as well."""
    own = {volume["name"] for volume in pod.get("volumes", []) if "emptyDir" in volume}
    [container] = [each for each in pod["containers"] if each["name"] == CONTAINER]
    return [mount["mountPath"] for mount in container.get("volumeMounts", []) if mount["name"] not in own]


def _name(text: str) -> str:
    """Return a name as a DNS label; that of a launch is one already."""
    return re.sub(r"[^a-z0-9-]+", "-", text)[:63].strip("-") or "flow"


def _if_any(**values: Any) -> JsonObject:
    return {name: value for name, value in values.items() if value is not None}
