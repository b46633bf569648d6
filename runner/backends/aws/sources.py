"""Where AWS credentials may be, in the order in which boto3 looks."""

from __future__ import annotations

from runner.backends.credential_sources import EVERY_IMAGE, Source

WITH_SDK = "aws, all_extras"
SECRET = Source("named secret", "`AWS_CREDENTIALS`, named in `RUNNER_SECRETS`", "fast", EVERY_IMAGE)
KEYS = Source("environment", "`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`", "fast", EVERY_IMAGE)
ROLE = Source("assumed role", "a profile's `role_arn` with `source_profile` or `credential_source`", "SDK", WITH_SDK)
WEB = Source("web identity", "`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN` (EKS: IRSA)", "fast", EVERY_IMAGE)
WEB_PROFILE = Source(
    "web identity in a profile",
    "a profile's `web_identity_token_file` and `role_arn`; the variables, if the STS endpoint is plain HTTP",
    "SDK",
    WITH_SDK,
)
SSO = Source("SSO", "a profile's `sso_session`, and the cache that `aws sso login` fills", "SDK", WITH_SDK)
SHARED = Source("shared credentials file", "`~/.aws/credentials`, `AWS_SHARED_CREDENTIALS_FILE`", "fast", EVERY_IMAGE)
LOGIN = Source("console login", "a profile's `login_session`, and the cache that `aws login` fills", "SDK", WITH_SDK)
PROCESS = Source("credential process", "a profile's `credential_process`", "SDK", WITH_SDK)
CONFIG = Source("config file", "keys in `~/.aws/config`, `AWS_CONFIG_FILE`", "fast", EVERY_IMAGE)
OLD = Source("boto's old files", "`AWS_CREDENTIAL_FILE`, `BOTO_CONFIG`, `/etc/boto.cfg`, `~/.boto`", "SDK", WITH_SDK)
CONTAINER = Source(
    "container endpoint",
    "`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` (ECS), or `AWS_CONTAINER_CREDENTIALS_FULL_URI` with"
    " `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` (EKS pod identity)",
    "fast",
    EVERY_IMAGE,
)
CONTAINER_OTHER = Source(
    "container endpoint of another kind",
    "the same with `AWS_CONTAINER_AUTHORIZATION_TOKEN`, or a full URI without a token",
    "SDK",
    WITH_SDK,
)
METADATA = Source("instance metadata", "version 2, at `AWS_EC2_METADATA_SERVICE_ENDPOINT`", "fast", EVERY_IMAGE)
METADATA_1 = Source("instance metadata, version 1", "where version 2 gives no token", "SDK", WITH_SDK)
SOURCES: tuple[Source, ...] = (
    SECRET,
    KEYS,
    ROLE,
    WEB,
    WEB_PROFILE,
    SSO,
    SHARED,
    LOGIN,
    PROCESS,
    CONFIG,
    OLD,
    CONTAINER,
    CONTAINER_OTHER,
    METADATA,
    METADATA_1,
)
