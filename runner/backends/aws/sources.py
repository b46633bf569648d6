"""Where AWS credentials may be, in the order in which boto3 looks."""

from __future__ import annotations

from runner.backends.credential_sources import Source

EVERY, AWS = "every", "aws, all_extras"
SECRET = Source("named secret", "`AWS_CREDENTIALS`, named in `RUNNER_SECRETS`", "fast", EVERY)
KEYS = Source("environment", "`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`", "fast", EVERY)
ROLE = Source("assumed role", "a profile's `role_arn` with `source_profile` or `credential_source`", "SDK", AWS)
WEB = Source("web identity", "`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN` (EKS: IRSA)", "fast", EVERY)
WEB_PROFILE = Source(
    "web identity in a profile",
    "a profile's `web_identity_token_file` and `role_arn`; the variables, if the STS endpoint is plain HTTP",
    "SDK",
    AWS,
)
SSO = Source("SSO", "a profile's `sso_session`, and the cache that `aws sso login` fills", "SDK", AWS)
SHARED = Source("shared credentials file", "`~/.aws/credentials`, `AWS_SHARED_CREDENTIALS_FILE`", "fast", EVERY)
LOGIN = Source("console login", "a profile's `login_session`, and the cache that `aws login` fills", "SDK", AWS)
PROCESS = Source("credential process", "a profile's `credential_process`", "SDK", AWS)
CONFIG = Source("config file", "keys in `~/.aws/config`, `AWS_CONFIG_FILE`", "fast", EVERY)
OLD = Source("boto's old files", "`AWS_CREDENTIAL_FILE`, `BOTO_CONFIG`, `/etc/boto.cfg`, `~/.boto`", "SDK", AWS)
CONTAINER = Source(
    "container endpoint",
    "`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` (ECS), or `AWS_CONTAINER_CREDENTIALS_FULL_URI` with"
    " `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` (EKS pod identity)",
    "fast",
    EVERY,
)
CONTAINER_OTHER = Source(
    "container endpoint of another kind",
    "the same with `AWS_CONTAINER_AUTHORIZATION_TOKEN`, or a full URI without a token",
    "SDK",
    AWS,
)
METADATA = Source("instance metadata", "version 2, at `AWS_EC2_METADATA_SERVICE_ENDPOINT`", "fast", EVERY)
METADATA_1 = Source("instance metadata, version 1", "where version 2 gives no token", "SDK", AWS)
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
