"""AWS's two files of profiles, read as boto3 reads them, and the settings that they share with the environment.

https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html; boto3's own reading is ``botocore/configloader.py``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.backends.credential_sources import check_endpoint, check_value, without_repr
from runner.errors import CredentialsRefused, EnvironmentWrong
from runner.secrets.parts import shown_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    Section = dict[str, Any]  # texts, and of an indented block the texts in it

_TRUE = {"1", "true", "on", "yes", "y"}


@without_repr
class AwsConfig(NamedTuple):
    """The environment and, if there are files, the profile that it names.

    ``shared`` is the profile's section in the shared credentials file, ``own`` the one in the config file, and
    ``values`` both, where the former wins. ``services`` is the section that the profile names, by service.
    """

    environ: Mapping[str, str]
    profile: str
    shared: Section
    own: Section
    services: Section

    @property
    def values(self) -> Section:
        """What the profile has in both files."""
        return self.own | self.shared

    def setting(self, variable: str, name: str) -> str | None:
        """Return a setting: the variable, else what the profile has by the name."""
        return self.environ.get(variable) or self.values.get(name)

    def is_on(self, variable: str, name: str) -> bool:
        """Return whether a setting is true."""
        return str(self.setting(variable, name) or "").lower() in _TRUE

    @property
    def region(self) -> str:
        """The region; boto3 does not know ``AWS_REGION``, which Lambda, ECS and EKS set."""
        region = self.environ.get("AWS_REGION") or self.setting("AWS_DEFAULT_REGION", "region") or "us-east-1"
        return check_value("the region", region)

    @property
    def s3(self) -> Section:
        """The profile's block ``s3 =``."""
        block = self.values.get("s3")
        return block if isinstance(block, dict) else {}

    def endpoint(self, service: str) -> str | None:
        """Return the endpoint that is configured for a service, ``s3`` or ``sts``. Raises EnvironmentWrong.

        https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
        """
        if self.is_on("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls"):
            return None
        block = self.services.get(service)
        profile = f"endpoint_url of the profile {self.profile!r}"
        found = (
            *((name, self.environ.get(name)) for name in (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL")),
            (profile, block.get("endpoint_url") if isinstance(block, dict) else None),
            (profile, self.values.get("endpoint_url")),
        )
        return next((check_endpoint(name, text) for name, text in found if text), None)


def read_config(environ: Mapping[str, str]) -> AwsConfig:
    """Read the files if there are any.

    Raises CredentialsRefused for a profile that is named and is nowhere, as boto3 does whatever else is set, and for
    a file that cannot be understood.
    """
    variable = next((name for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE") if name in environ), None)
    files = [
        _expanded(environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")),
        _expanded(environ.get("AWS_CONFIG_FILE", "~/.aws/config")),
    ]
    if not variable and not any(os.path.isfile(path) for path in files):  # noqa: PTH113 - pathlib costs the start 5 ms
        return AwsConfig(environ, "default", {}, {}, {})
    shared, raw = (_sections(path, word) for path, word in zip(files, ("credentials", "config"), strict=True))
    # [default] and [profile default] are one, and the later section holds
    titled = {"profile default" if title == "default" else title: values for title, values in raw.items()}
    own = _named(titled, "profile")
    profile = environ[variable] if variable else "default"
    if variable and profile not in own and profile not in shared:
        searched = " nor ".join(map(shown_path, files))
        message = f"{variable} is {profile!r}, and neither {searched} has a profile of that name"
        raise CredentialsRefused(message, hint="Correct the name, or mount the files into the container.")
    config = AwsConfig(environ, profile, shared.get(profile, {}), own.get(profile, {}), {})
    wanted = config.values.get("services")
    services = _named(raw, "services")
    if wanted and wanted not in services:
        message = f"the profile {profile!r} names the services {wanted!r}, and {files[1]} has no section of that name"
        raise EnvironmentWrong(message, hint=f"Add [services {wanted}], or correct the name.")
    return config._replace(services=services.get(str(wanted), {}))


def _expanded(path: str) -> str:
    return os.path.expanduser(os.path.expandvars(path))  # noqa: PTH111 - see `read_config`


def _sections(path: str, word: str) -> dict[str, Section]:
    if not os.path.isfile(path):  # noqa: PTH113 - see `read_config`
        return {}
    from configparser import Error, RawConfigParser

    file = RawConfigParser()
    try:
        file.read([path])
        return {
            section: {name: _nested(text) if text.startswith("\n") else text for name, text in file.items(section)}
            for section in file.sections()
        }
    except (Error, ValueError) as error:
        message = f"{path} cannot be read as an AWS {word} file"
        hint = "Mend it, or name another in AWS_SHARED_CREDENTIALS_FILE or AWS_CONFIG_FILE."
        raise CredentialsRefused(message, hint=hint) from error


def _nested(text: str) -> dict[str, str]:
    lines = [line.split("=", 1) for line in text.splitlines() if line.strip()]
    return {name.strip(): value.strip() for name, value in lines}


def _named(sections: dict[str, Section], word: str) -> dict[str, Section]:
    """Return the sections such as ``[profile mine]``, by name."""
    import shlex

    found = {}
    for title, values in sections.items():
        try:
            parts = shlex.split(title) if title.startswith(word) else []
        except ValueError:
            continue
        if len(parts) == 2:  # noqa: PLR2004 - the word and the name
            found[parts[1]] = values
    return found
