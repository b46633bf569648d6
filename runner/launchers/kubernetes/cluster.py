"""A cluster's API, as far as a launcher needs it: few requests, made again for a moment, and what its errors mean."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from runner.errors import (
    AlreadyExists,
    CredentialsRefused,
    Denied,
    EnvironmentWrong,
    NotFound,
    NotStarted,
    RunnerError,
    Unreachable,
)
from runner.launchers.kubernetes.options import missing_library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from runner.schema.documents import JsonObject

_Result = TypeVar("_Result")
_PAUSES = (0.3, 1.0, 2.0)  # seconds before a request is made again
_LONGEST_PAUSE = 5.0  # that a server may ask for
_PASSING = {408, 410, 425, 429, 500, 502, 503, 504}
_SECONDS = 20.0  # for one request
_DOC = "docs/platforms.md has the role that a launcher needs"


class Right(NamedTuple):
    """Something that a role may allow."""

    verb: str
    group: str
    resource: str
    subresource: str = ""


class Cluster:
    """A namespace of a cluster, found as kubectl does: by a kubeconfig file and its context, or from inside a pod.

    Args:
        namespace: instead of the context's.
        context: instead of the file's current one.
        kubeconfig: the file, instead of that of KUBECONFIG or ``~/.kube/config``.
    """

    def __init__(self, namespace: str | None, context: str | None, kubeconfig: str | None) -> None:
        self._namespace, self._context, self._kubeconfig = namespace, context, kubeconfig
        self._opened: Any = None

    @property
    def namespace(self) -> str:
        """The namespace."""
        return str(self._client.namespace)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return str(self._client.config.cluster.server)

    def create(self, job: JsonObject) -> JsonObject:
        """Create a Job. Raises AlreadyExists, NotStarted for a quota, and EnvironmentWrong when it is not taken."""
        return self._call(lambda: self._client.create(_kind("batch", "Job", "jobs")(job), namespace=self.namespace))

    def job(self, name: str) -> JsonObject:
        """Return a Job. Raises NotFound."""
        return self._call(lambda: self._client.get(_kind("batch", "Job", "jobs"), name, namespace=self.namespace))

    def pods_of(self, job: JsonObject) -> list[JsonObject]:
        """Return the pods that a Job has made, by the label that the cluster itself selects them by."""
        labels, uid = job["spec"]["selector"]["matchLabels"], job["metadata"]["uid"]
        pods = self._list(_kind("", "Pod", "pods"), labels=labels)
        return [pod for pod in pods if uid in {owner["uid"] for owner in pod["metadata"].get("ownerReferences", [])}]

    def events_of(self, thing: JsonObject) -> list[JsonObject]:
        """Return the events of one object; none where the right to read them is missing."""
        try:
            return self._list(_kind("", "Event", "events"), fields={"involvedObject.uid": thing["metadata"]["uid"]})
        except Denied:
            return []

    def delete_job(self, name: str) -> None:
        """Delete a Job: it is there until its pods are gone. Raises NotFound."""
        from lightkube.types import CascadeType

        kind, cascade = _kind("batch", "Job", "jobs"), CascadeType.FOREGROUND
        self._call(lambda: self._client.delete(kind, name, namespace=self.namespace, cascade=cascade))

    def delete_pod(self, pod: JsonObject, grace: int) -> None:
        """Delete a pod, whose processes have so many seconds to end. Raises NotFound."""
        name, kind = pod["metadata"]["name"], _kind("", "Pod", "pods")
        self._call(lambda: self._client.delete(kind, name, namespace=self.namespace, grace_period=grace))

    def log_of(self, pod: JsonObject, container: str, lines: int) -> list[str]:
        """Return the last lines of a container's log. Raises NotFound, and EnvironmentWrong while it has none."""
        name = pod["metadata"]["name"]

        def read() -> list[str]:
            given: Iterable[str] = self._client.log(
                name, namespace=self.namespace, container=container, tail_lines=lines, newlines=False
            )
            return list(given)

        return self._call(read)

    def may(self, right: Right) -> bool:
        """Return whether the cluster allows something to whoever asks."""
        wanted = {"namespace": self.namespace, **right._asdict()}
        kind = _kind("authorization.k8s.io", "SelfSubjectAccessReview", "selfsubjectaccessreviews", is_global=True)
        review = self._call(lambda: self._client.create(kind({"spec": {"resourceAttributes": wanted}})))
        return bool(review["status"].get("allowed"))

    def _list(self, kind: Any, **selectors: Mapping[str, str]) -> list[JsonObject]:
        return self._call(lambda: list(self._client.list(kind, namespace=self.namespace, **selectors)))

    @property
    def _client(self) -> Any:
        """The client, opened when it is first used. Raises as `_open`."""
        self._opened = self._opened or self._open()
        return self._opened

    def _open(self) -> Any:
        """Return a client. Raises EnvironmentWrong when the library is not installed, or no cluster is named."""
        try:
            import httpx2
            from lightkube import Client, KubeConfig
            from lightkube.core.exceptions import ConfigError
        except ImportError as error:
            raise missing_library(error) from error
        try:
            config = KubeConfig.from_file(self._kubeconfig) if self._kubeconfig else KubeConfig.from_env()
            return Client(config.get(self._context), self._namespace, httpx2.Timeout(_SECONDS))
        except (ConfigError, OSError, ValueError, KeyError) as error:
            message = f"no cluster can be reached by the kubeconfig: {error!r}"
            hint = "Set KUBECONFIG, or name file and context: -O kubeconfig=PATH -O context=NAME."
            raise EnvironmentWrong(message, hint=hint) from error

    def _call(self, request: Callable[[], _Result]) -> _Result:
        """Make a request, and again when that may help. Raises the error that says what went wrong."""
        client = self._client  # what is wrong with the configuration is told as it is
        import httpx2
        from lightkube.core.exceptions import ConfigError

        pauses = list(_PAUSES)
        while True:
            try:
                return request()
            except httpx2.HTTPStatusError as error:
                told = _told(error, client.namespace)
                asked = _retry_after(error)
                if error.response.status_code not in _PASSING or not pauses:
                    raise told from error
            except (httpx2.TransportError, KeyError, ValueError) as error:  # the last two: an answer of no API server
                told, asked = self._silent(error), 0.0
                if not pauses:
                    raise told from error
            except (ConfigError, OSError) as error:
                message = f"the cluster's credentials cannot be had: {error}"
                raise CredentialsRefused(message, hint="Look whether kubectl can use this context.") from error
            time.sleep(max(pauses.pop(0), asked))

    def _silent(self, error: Exception) -> Unreachable:
        message = f"the cluster at {self.server} does not answer: {str(error) or type(error).__name__}"
        return Unreachable(message, hint="Look whether kubectl reaches it from here.")


def _kind(group: str, name: str, plural: str, *, is_global: bool = False) -> Any:
    """Return a kind as plain JSON: a model would drop, without a word, what is newer than itself.

    It is not registered with the library, whose models the flow's author may use in the same process.
    """
    from lightkube.generic_resource import GenericGlobalResource, GenericNamespacedResource, create_api_info

    base = GenericGlobalResource if is_global else GenericNamespacedResource
    return type(name, (base,), {"_api_info": create_api_info(group, "v1", name, plural)})


def _told(error: Any, namespace: str) -> RunnerError:
    """Return the error that says what an answer of the API server means."""
    code, said = error.response.status_code, _sentence(error)
    if code == 401:  # noqa: PLR2004 - Unauthorized
        message = f"the cluster does not accept the credentials: {said}"
        return CredentialsRefused(message, hint="Log in again, or name another context: -O context=NAME.")
    if code == 403 and " cannot " in said:  # noqa: PLR2004 - Forbidden, and not by a policy or a quota
        return Denied(f"the cluster does not allow it: {said}", hint=f"{_DOC}.")
    if code == 403 and "exceeded quota" in said:  # noqa: PLR2004 - Forbidden
        hint = "Wait until other Jobs are gone, or have the namespace's quota raised."
        return NotStarted(f"the namespace {namespace} has no room for it now: {said}", hint=hint)
    if code == 404:  # noqa: PLR2004 - NotFound
        return NotFound(f"there is none in the namespace {namespace}: {said}", hint="Look with kubectl.")
    if code == 409:  # noqa: PLR2004 - Conflict
        return AlreadyExists(said)
    if code in _PASSING:
        return Unreachable(f"the cluster cannot answer now: {code}, {said}", hint="Try it again in a while.")
    return EnvironmentWrong(
        f"the cluster refuses it: {said}", hint="Look at the options, and at runner launch --render."
    )


def _sentence(error: Any) -> str:
    return str(getattr(getattr(error, "status", None), "message", None) or error)


def _retry_after(error: Any) -> float:
    try:
        return min(float(error.response.headers.get("Retry-After", 0)), _LONGEST_PAUSE)
    except ValueError:
        return 0.0
