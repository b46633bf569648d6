"""Where bundles and results lie: from a location's scheme to the backend that serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.schemes import backend_of, import_by_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.backends.base import Storage
    from runner.location import Location
    from runner.secrets.named import Credentials


def open_storage(
    location: Location, credentials: Credentials, environ: Mapping[str, str], *, patience: float | None = None
) -> Storage:
    """Open the storage that a location lies in, by the opener in its scheme's row.

    With ``patience`` every read, create, replace and listing of what is small is over within that many seconds, its
    retries included: it ends with Unreachable, TooSlow or the last failure. One request has `REQUEST_SHARE` of that
    time, or twice as much once an answer came later, so what is large is moved by a storage without. Not cut are the
    time that a cloud's own SDK takes for new keys, the system's search for a host of Google's, and anything that a
    folder's file system does: a read from a mount that hangs cannot be given up.

    Args:
        location: its container is opened; the key is ignored.
        credentials: the named secrets.
        environ: the environment, which the clouds' own variables are read from.
        patience: seconds that a small request may take; None: tries begin for `Storage.retry_seconds`.

    Raises:
        CredentialsRefused: if no credentials are found, or what was found cannot be used.
        EnvironmentWrong: if an SDK is missing, or a variable makes no sense.
    """
    storage: Storage = import_by_name(backend_of(location.scheme).opener)(
        location.container, credentials, environ, patience
    )
    return storage


open_storage.__module__ = "runner.storage"  # see runner.model.flow.FlowGraph
