"""What the scheme of a storage's URL means: one row for each backend, in which all that depends on it is looked up.

A row names the code by text, ``module:name``, which is imported when it is used: a start loads one backend alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

BAKED_WORD = "docker"  # what RUNNER_STORAGE calls a flow that was baked into the image: it lies in a folder there


class Backend(NamedTuple):
    """One kind of storage.

    Args:
        scheme: of its URLs: ``s3`` in ``s3://bucket/key``.
        word: what ``RUNNER_STORAGE`` calls it.
        title: what messages call it.
        opener: the function that opens a container, of ``(container, credentials, environ, patience)``; it returns a
            `runner.backends.base.Storage` and is used by `runner.backends.open_storage`.
        declaration: the class by which an author declares it, a `runner.authoring.declaration.StorageDeclaration`.
        image: the tag of runner's image that has everything it needs.
        label: what agents must have to run a flow that is published there.
        secrets: the names of the secrets that open it, the first that is named is used, with the keys that the JSON
            object must have; none for a secret that is plain text.
        private_variables: variables of the cloud's own that hold a secret; their values are masked.
        file_variables: those that name a file which holds one; a value that names none is masked.
        sent_variables: those whose values are sent as they stand; see `runner.backends.credential_sources.check_value`.
        permissions: what whoever may not ``read``, ``write``, ``list`` or ``delete`` has to be given, by these words.
        credentials_hint: how to name credentials where none were found.
        seconds_between_writes: of one object, at the least.
    """

    scheme: str
    word: str
    title: str
    opener: str
    declaration: str
    image: str = "slim"
    label: str = ""
    secrets: Mapping[str, tuple[str, ...]] = {}
    private_variables: tuple[str, ...] = ()
    file_variables: tuple[str, ...] = ()
    sent_variables: tuple[str, ...] = ()
    permissions: Mapping[str, str] = {}
    credentials_hint: str = ""
    seconds_between_writes: float = 0.0


_EITHER = " Without s3:ListBucket this is also what S3 answers when there is no such object."
LOCAL = Backend(
    scheme="file",
    word="local",
    title="a folder",
    opener="runner.backends.local.files:open_local",
    declaration="runner.storage:Local",
)
S3 = Backend(
    scheme="s3",
    word="s3",
    title="S3",
    opener="runner.backends.aws.s3:open_s3",
    declaration="runner.storage:S3",
    image="aws",
    label="s3-flow-storage",
    secrets={"AWS_CREDENTIALS": ("ACCESS_KEY", "SECRET_ACCESS_KEY")},
    private_variables=("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    file_variables=(
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CONFIG_FILE",
        "AWS_CREDENTIAL_FILE",
        "BOTO_CONFIG",
    ),
    sent_variables=(
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_SSE_KMS_KEY_ID",
        "AWS_SSE_CUSTOMER_KEY_BASE64",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    ),
    permissions={
        "read": f"s3:GetObject.{_EITHER}",
        "write": "s3:PutObject.",
        "list": "s3:ListBucket.",
        "delete": "s3:DeleteObject.",
    },
    credentials_hint=(
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a secret AWS_CREDENTIALS in RUNNER_SECRETS."
    ),
)
GCS = Backend(
    scheme="gs",
    word="gcs",
    title="Google's storage",
    opener="runner.backends.gcp.gcs:open_gcs",
    declaration="runner.storage:GCS",
    image="gcp",
    label="gcs-flow-storage",
    secrets={"GCP_CREDENTIALS": ("type", "client_email", "private_key", "token_uri")},
    permissions={
        "read": "storage.objects.get.",
        "write": "storage.objects.create.",
        "list": "storage.objects.list.",
        "delete": "storage.objects.delete.",
    },
    file_variables=("GOOGLE_APPLICATION_CREDENTIALS",),
    sent_variables=("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_QUOTA_PROJECT"),
    credentials_hint="Set GOOGLE_APPLICATION_CREDENTIALS, or name a secret GCP_CREDENTIALS in RUNNER_SECRETS.",
    seconds_between_writes=1.0,  # https://cloud.google.com/storage/quotas#objects
)
AZURE = Backend(
    scheme="azure",
    word="azure",
    title="Azure's storage",
    opener="runner.backends.azure.blob:open_azure",
    declaration="runner.storage:Azure",
    image="azure",
    label="azure-flow-storage",
    secrets={"AZURE_CREDENTIALS": (), "AZURE_STORAGE_CONNECTION_STRING": ()},
    private_variables=(
        "AZURE_CLIENT_SECRET",
        "AZURE_PASSWORD",
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
    ),
    file_variables=("AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_CERTIFICATE_PATH"),
    sent_variables=(
        "AZURE_STORAGE_ACCOUNT",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_ID",
        "AZURE_CLIENT_SECRET",
        "AZURE_AUTHORITY_HOST",
    ),
    permissions=dict.fromkeys(("read", "write", "list", "delete"), "the role Storage Blob Data Contributor."),
    credentials_hint="Set AZURE_STORAGE_CONNECTION_STRING, or name a secret of that name in RUNNER_SECRETS.",
)
_PROCESS_BACKENDS = {row.scheme: row for row in (LOCAL, S3, GCS, AZURE)}  # by scheme; `register` adds to it


def register(backend: Backend) -> None:
    """Add a backend to those that this process knows. Raises ValueError if its scheme or word is another's."""
    if backend.scheme in _PROCESS_BACKENDS or backend.word in storage_words():
        message = f"the scheme {backend.scheme!r} or the word {backend.word!r} is taken by another backend"
        raise ValueError(message)
    _PROCESS_BACKENDS[backend.scheme] = backend


def unregister(backend: Backend) -> None:
    """Remove what `register` added."""
    if _PROCESS_BACKENDS.get(backend.scheme) is backend:
        del _PROCESS_BACKENDS[backend.scheme]


def backends() -> tuple[Backend, ...]:
    """Return all backends, in the order in which messages list them."""
    return tuple(_PROCESS_BACKENDS.values())


def backend_of(scheme: str) -> Backend:
    """Return the backend of a scheme. Raises KeyError if there is none; `parse_location` refuses such a URL."""
    return _PROCESS_BACKENDS[scheme]


def storage_words() -> dict[str, str]:
    """Return the scheme for each word that ``RUNNER_STORAGE`` may be."""
    return {row.word: row.scheme for row in backends()} | {BAKED_WORD: LOCAL.scheme}


def storage_word(text: str) -> str:
    """Return the word for a storage, which may also be called by its scheme: ``gs``."""
    return next((row.word for row in backends() if row.scheme == text.lower()), text.lower())


def import_by_name(reference: str) -> Any:
    """Import what a row names as ``module:name``."""
    from importlib import import_module

    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
