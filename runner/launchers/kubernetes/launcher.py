"""``Kubernetes``: a Job for each launch, with one pod that is never started again."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING

from runner.errors import AlreadyExists, Denied, EnvironmentWrong, NotFound, RunnerError, Unreachable
from runner.launchers.base import LOG_LINES, Launcher, Order, Sighting
from runner.launchers.kubernetes.cluster import Cluster, Right
from runner.launchers.kubernetes.job import CONTAINER, as_yaml, changes, make_job, shown
from runner.launchers.kubernetes.options import checked_options, part_of
from runner.launchers.kubernetes.words import last_words, newest, read_sighting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.schema.documents import JsonObject


_NEEDED = (
    *(Right(verb, "batch", "jobs") for verb in ("create", "get", "delete")),
    *(Right(verb, "", "pods") for verb in ("list", "delete")),
)
_SHORT_TTL = 60  # seconds in which whoever looks after a Job may miss it
_HELPFUL = (Right("list", "", "events"), Right("get", "", "pods", "log"))


class Kubernetes(Launcher):
    """Run flows as Jobs of a Kubernetes cluster.

    A secret's reference is ``NAME/KEY`` of a Secret in the same namespace, or ``NAME`` where the key is the secret's
    own name; it is mounted as a file. The Job meets the restricted profile of Kubernetes' pod security standards.

    Args:
        namespace: instead of the template's, or the context's.
        context: of the kubeconfig, instead of the current one.
        kubeconfig: its path, instead of that of KUBECONFIG or ``~/.kube/config``; inside a pod none is needed.
        service_account: of the pod. Its token is not mounted; roles of the cloud's do not need that.
        image_pull_secrets: names of the Secrets with which images are pulled.
        image_pull_policy: ``Always``, ``IfNotPresent`` or ``Never``.
        node_selector: labels that the node must have.
        tolerations: as a pod has them.
        priority_class: the name of a PriorityClass.
        queue: the name of Kueue's LocalQueue, which admits the Job.
        labels: more labels of Job and pod.
        annotations: annotations of Job and pod.
        host_network: whether the pod uses its node's network.
        ttl: seconds for which the Job is kept when it has ended and no launcher has removed it; 3600.
        template: a Job, or parts of one, as an object or as the path of a YAML file: laid over what the launcher
            proposes, and under what was asked for by name.

    Example:
        >>> from runner.launchers import Kubernetes
        >>> Kubernetes(namespace="flows", queue="batch").given
        {'namespace': 'flows', 'queue': 'batch'}
    """

    kind = "kubernetes"

    def __init__(  # noqa: PLR0913 - a platform has many options
        self,
        *,
        namespace: str | None = None,
        context: str | None = None,
        kubeconfig: str | None = None,
        service_account: str | None = None,
        image_pull_secrets: str | Sequence[str] | None = None,
        image_pull_policy: str | None = None,
        node_selector: Mapping[str, str] | None = None,
        tolerations: Sequence[JsonObject] | None = None,
        priority_class: str | None = None,
        queue: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        host_network: bool | None = None,
        ttl: int | None = None,
        template: str | JsonObject | None = None,
    ) -> None:
        given: JsonObject = locals()
        super().__init__(**{name: given[name] for name in given if name not in {"self", "__class__"}})
        self._options = checked_options(self.given)
        own = part_of(self._options.get("template", {}), "metadata").get("namespace")
        self._cluster = Cluster(namespace or own, context, kubeconfig)

    def check(self) -> str:
        """See `Launcher.check`; the rights of whoever asks. Raises Denied for one that is missing."""
        missing = [right for right in (*_NEEDED, *_HELPFUL) if not self._cluster.may(right)]
        where = f"namespace {self._cluster.namespace} at {self._cluster.server}"
        texts = ", ".join(
            f"{right.verb} {right.resource}{right.subresource and '/'}{right.subresource}" for right in missing
        )
        if not set(missing) <= {*_HELPFUL}:
            message = f"the cluster does not allow it: {texts}, in the {where}"
            raise Denied(message, hint="docs/platforms.md has the role that a launcher needs.")
        return f"{where}{f'; what these would tell is missing: {texts}' if missing else ''}"

    def render(self, order: Order) -> str:
        """See `Launcher.render`; the Job's YAML."""
        return as_yaml(shown(order, self._options))

    def launch(self, order: Order) -> dict[str, str]:
        """See `Launcher.launch`; what was made is looked at: a server may drop what it does not know, in silence."""
        asked = make_job(order, self._options)
        if asked["spec"].get("ttlSecondsAfterFinished", _SHORT_TTL) < _SHORT_TTL:
            self.tell(
                "the cluster removes the Job within a minute of its end: why it ended may be gone before it is read"
            )
        try:
            made = self._cluster.create(asked)
        except AlreadyExists:
            made = self._existing(asked)
        except NotFound as error:
            hint = "Make it, or name another one: -O namespace=NAME."
            raise EnvironmentWrong(f"there is no namespace {self._cluster.namespace}", hint=hint) from error
        if wrong := changes(asked, made):
            self.remove(order.name)
            message = f"the cluster has made another Job than it was asked for: {'; '.join(wrong)}"
            raise EnvironmentWrong(message, hint="A policy or a webhook of the cluster does that: exempt these Jobs.")
        return {
            "uid": made["metadata"]["uid"],
            "namespace": made["metadata"]["namespace"],
            "server": self._cluster.server,
        }

    def describe(self, name: str) -> Sighting:
        """See `Launcher.describe`."""
        try:
            job, pods = self._job_and_pods(name)
            if job is None:
                return Sighting("absent")
            seen = read_sighting(job, pods, ())
            if seen.phase == "running":
                return seen
            pod = newest(pods)
            events = [event for thing in (job, pod) if thing for event in self._cluster.events_of(thing)]
            return read_sighting(job, pods, events)
        except Unreachable as error:
            return Sighting("unknown", message=error.message)

    def stop(self, name: str, grace: float) -> None:
        """See `Launcher.stop`; the Job is there until its pod is gone."""
        job, pods = self._job_and_pods(name)
        if job is None:
            return
        with suppress(NotFound):
            self._cluster.delete_job(name)  # first: of a Job that stays, a deleted pod would get a successor
        for pod in pods:
            with suppress(NotFound):  # 0 would have the pod forgotten at once, whether its processes are gone or not
                self._cluster.delete_pod(pod, max(1, math.ceil(grace)))

    def remove(self, name: str) -> None:
        """See `Launcher.remove`."""
        with suppress(NotFound):
            self._cluster.delete_job(name)

    def logs(self, name: str, lines: int = LOG_LINES) -> list[str]:
        """See `Launcher.logs`."""
        _, pods = self._job_and_pods(name)
        pod = newest(pods)
        if pod is None:
            return []
        try:
            return self._cluster.log_of(pod, CONTAINER, lines)
        except RunnerError:  # the container has not begun, its node is gone, or the right is missing
            return last_words(pod)[-lines:]

    def _job_and_pods(self, name: str) -> tuple[JsonObject | None, list[JsonObject]]:
        try:
            job = self._cluster.job(name)
        except NotFound:
            return None, []
        return job, self._cluster.pods_of(job)

    def _existing(self, asked: JsonObject) -> JsonObject:
        """Return the Job of that name, which another start of the same launch has made. Raises EnvironmentWrong."""
        try:
            made = self._cluster.job(asked["metadata"]["name"])
        except NotFound as error:  # it was removed in between
            raise Unreachable("the Job was removed while it was made", hint="Try it again.") from error
        labels = made["metadata"].get("labels") or {}
        if any(labels.get(name) != text for name, text in asked["metadata"]["labels"].items() if "runner/" in name):
            message = f"there is a Job {made['metadata']['name']} already, and it is of no launch of this run"
            raise EnvironmentWrong(message, hint="Remove it, or name another namespace: -O namespace=NAME.")
        return made
