"""The suite of all launchers, on a cluster."""

from __future__ import annotations

from support.launching import LaunchContract


class TestKubernetes(LaunchContract):
    """See its class."""
