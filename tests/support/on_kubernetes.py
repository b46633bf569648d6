"""A namespace of the tests' cluster, as a platform to launch on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runner.launchers import Kubernetes
from support.launching import Platform

if TYPE_CHECKING:
    from support.servers.kubernetes import Cluster


@dataclass
class Cloud(Platform):
    """A launcher for one namespace of a cluster, and a bucket whose key lies there as the Secret ``my-flows``."""

    cluster: Cluster = field(kw_only=True)
    namespace: str = field(kw_only=True)
    image: str = field(kw_only=True)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace."""
        return self.cluster.kubectl("-n", self.namespace, *arguments, stdin=stdin)

    def get(self, *arguments: str) -> Any:
        """What kubectl gets there."""
        return self.cluster.get("-n", self.namespace, *arguments)

    def another(self, **options: Any) -> Kubernetes:
        """A launcher with other options."""
        return Kubernetes(**{**self.launcher.given, **options})

    def through(self, kubeconfig: str) -> None:
        """Reach the cluster by another file from now on, also from the command line."""
        options = [option for option in self.options if not option.startswith("-Okubeconfig=")]
        self.options = (*options, f"-Okubeconfig={kubeconfig}")
        self.launcher = self.another(kubeconfig=kubeconfig)
