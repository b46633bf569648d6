"""``Docker``: containers on an engine that speaks Docker's API, which Podman's does as well."""
